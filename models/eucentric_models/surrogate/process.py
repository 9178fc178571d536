"""Deep kernel learning (torch, gpytorch): a Gaussian process on features that a network learns with it.

After Wilson et al., AISTATS 2016, as used for active electron spectroscopy by Roccapriore, Kalinin and
Ziatdinov,
Adv. Sci. 9, 2203422 (2022). All numbers are double precision because they are made so, not because a global
default says so; all randomness comes from a generator.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, Self

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import WeightsError
from ._spec import SurrogateSpec

with warnings.catch_warnings():
    # linear_operator still compiles by torch.jit.script, which torch calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import gpytorch

__all__ = ["DeepKernelProcess"]

_CHUNK = 2048
_NOISE_FLOOR = 1e-4


class _Features(nn.Module):
    """(n, patch_px ** 2) to (n, features) in [-1, 1], the same for all eight orientations of a patch."""

    def __init__(self, spec: SurrogateSpec, generator: torch.Generator) -> None:
        super().__init__()
        sizes = (spec.patch_px**2, spec.hidden, spec.hidden, spec.features)
        # On no device at first: initial values would be drawn from the global generator.
        layers = [
            nn.Linear(before, after, dtype=torch.float64, device="meta").to_empty(device="cpu")
            for before, after in pairwise(sizes)
        ]
        with torch.no_grad():
            for layer in layers:
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()
        self.layers = nn.Sequential(*(part for layer in layers for part in (layer, nn.Tanh())))
        self.orientations = _orientations(spec.patch_px)

    def forward(self, patches: Tensor) -> Tensor:
        seen: Tensor = self.layers(patches[..., self.orientations])
        return seen.mean(dim=-2)


def _orientations(side: int) -> Tensor:
    """(8, side ** 2): where each pixel of a turned and mirrored patch comes from."""
    index = torch.arange(side * side).view(side, side)
    turned = [torch.rot90(index, quarter) for quarter in range(4)]
    return torch.stack([view.reshape(-1) for one in turned for view in (one, one.flip(0))])


class _Process(gpytorch.models.ExactGP):  # type: ignore[misc]
    def __init__(
        self, spec: SurrogateSpec, patches: Tensor, values: Tensor, generator: torch.Generator
    ) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood(
            noise_constraint=gpytorch.constraints.GreaterThan(_NOISE_FLOOR)
        ).double()
        super().__init__(patches, values, likelihood)
        self.features = _Features(spec, generator)
        self.mean = gpytorch.means.ConstantMean().double()
        kernel = gpytorch.kernels.RBFKernel(ard_num_dims=spec.features)
        self.kernel = gpytorch.kernels.ScaleKernel(kernel).double()

    def forward(self, patches: Tensor) -> Any:
        seen = self.features(patches)
        return gpytorch.distributions.MultivariateNormal(self.mean(seen), self.kernel(seen))


class DeepKernelProcess:
    """A `Surrogate` that goes on learning where it was when more has been measured.

    Args:
        spec: architecture.
        generator: of the first weights.
        steps: optimiser steps of every fit.
        learning_rate: of Adam.
    """

    def __init__(
        self, spec: SurrogateSpec, generator: torch.Generator, *, steps: int = 20, learning_rate: float = 1e-2
    ) -> None:
        self.spec = spec
        self.steps = steps
        self.learning_rate = learning_rate
        self._generator = generator
        self._process: _Process | None = None
        self._centre, self._unit = 0.0, 1.0
        self.loss = float("nan")

    def fit(self, patches: NDArray[np.float32], values: NDArray[np.float64]) -> None:
        """Maximise the marginal likelihood of what was measured.

        Args:
            patches: (n, patch_px ** 2).
            values: (n,), any unit.
        """
        self._centre, self._unit = float(values.mean()), max(float(values.std()), 1e-9)
        inputs = torch.from_numpy(patches.astype(np.float64))
        targets = torch.from_numpy((values - self._centre) / self._unit)
        if self._process is None:
            self._process = _Process(self.spec, inputs, targets, self._generator)
        else:
            self._process.set_train_data(inputs, targets, strict=False)
        process = self._process.train()
        process.likelihood.train()
        likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(process.likelihood, process)
        optimiser = torch.optim.Adam(process.parameters(), lr=self.learning_rate)
        for _ in range(self.steps):
            optimiser.zero_grad(set_to_none=True)
            loss = -likelihood(process(inputs), targets)
            loss.backward()
            optimiser.step()
            self.loss = float(loss.detach())
        process.eval()
        process.likelihood.eval()

    def predict(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the property itself, without the noise of a measurement.

        Raises:
            ValueError: nothing has been measured yet.
        """
        process = self._fitted()
        means, deviations = [], []
        # Its checks take a question about what was measured for a mistake.
        with torch.no_grad(), gpytorch.settings.debug(False):
            for start in range(0, len(patches), _CHUNK):
                part = torch.from_numpy(patches[start : start + _CHUNK].astype(np.float64))
                expected = process(part)
                means.append(expected.mean.numpy() * self._unit + self._centre)
                deviations.append(expected.stddev.numpy() * self._unit)
        return np.concatenate(means), np.concatenate(deviations)

    def to_bytes(self) -> bytes:
        """Weights, kernel and what was measured, as one safetensors blob.

        Raises:
            ValueError: nothing has been measured yet.
        """
        process = self._fitted()
        tensors = {name: value.detach().contiguous() for name, value in process.named_parameters()}
        tensors["measured.patches"] = process.train_inputs[0].contiguous()
        tensors["measured.values"] = process.train_targets.contiguous()
        tensors["measured.scaling"] = torch.tensor([self._centre, self._unit], dtype=torch.float64)
        return safetensors.torch.save(tensors)

    @classmethod
    def from_bytes(cls, spec: SurrogateSpec, blob: bytes) -> Self:
        """What `to_bytes` wrote, ready to predict.

        Raises:
            WeightsError: unreadable, not finite, or of another architecture.
        """
        surrogate = cls(spec, torch.Generator())
        try:
            tensors = safetensors.torch.load(blob)
            if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
                raise ValueError("they hold NaN or infinity")
            patches, values = tensors.pop("measured.patches"), tensors.pop("measured.values")
            surrogate._centre, surrogate._unit = (float(part) for part in tensors.pop("measured.scaling"))
            if patches.shape != (len(values), spec.patch_px**2):
                raise ValueError(f"its patches are {tuple(patches.shape)}")
            process = _Process(spec, patches, values, torch.Generator())
            _set_parameters(process, tensors)
        except (SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(
                f"The surrogate cannot be used: {error}.",
                safe="nothing was computed with it.",
                next_step="see how this model was built; build it again.",
            ) from error
        surrogate._process = process.eval()
        process.likelihood.eval()
        return surrogate

    def _fitted(self) -> _Process:
        if self._process is None:
            raise ValueError("the process has not been fitted")
        return self._process


def _set_parameters(process: _Process, tensors: dict[str, Tensor]) -> None:
    parameters = dict(process.named_parameters())
    if set(parameters) != set(tensors):
        raise ValueError(f"they differ in {sorted(set(parameters) ^ set(tensors))}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != tensors[name].shape:
                raise ValueError(f"{name} is {tuple(tensors[name].shape)}")
            parameter.copy_(tensors[name])
