"""The forecaster (torch): an LSTM over the scores of spectra.

After Lewis et al., npj Comput. Mater. 8 (2022), who forecast in-situ EELS spectra of a phase transition by an
LSTM that reads a history of spectra. Here it reads and writes scores in a noise-weighted basis, and what it
writes is the change against the mean of the last scores, so that an untrained one forecasts persistence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import WeightsError
from ._basis import SpectraBasis
from ._spec import ForecasterSpec
from ._windows import check_series, require_history, unit_of

__all__ = ["Forecaster", "ForecasterNetwork", "build_forecaster", "load_member", "member_to_bytes"]

_RECENT = 3
"""The anchor is the mean of so many last scores: one alone carries all of its noise into the forecast."""


class ForecasterNetwork(nn.Module):
    """(n, history, k) scores to (n, horizon, k) scores."""

    def __init__(self, spec: ForecasterSpec) -> None:
        super().__init__()
        self.spec = spec
        # On no device at first: initial values would be drawn from the global generator.
        lstm = nn.LSTM(spec.components, spec.hidden, num_layers=spec.layers, batch_first=True, device="meta")
        self.lstm = lstm.to_empty(device="cpu")
        head = nn.Linear(spec.hidden, spec.horizon * spec.components, device="meta")
        self.head = head.to_empty(device="cpu")

    def forward(self, scores: Tensor) -> Tensor:
        """Forecast scores."""
        anchor = scores[:, -_RECENT:].mean(dim=1, keepdim=True)
        hidden, _ = self.lstm(scores)
        change: Tensor = self.head(hidden[:, -1])
        return anchor + change.view(-1, self.spec.horizon, self.spec.components)


def build_forecaster(spec: ForecasterSpec, generator: torch.Generator) -> ForecasterNetwork:
    """An untrained network; all randomness comes from the generator."""
    network = ForecasterNetwork(spec)
    bound = spec.hidden**-0.5
    with torch.no_grad():
        for parameter in network.lstm.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
        network.head.weight.zero_()
        network.head.bias.zero_()
    return network


def member_to_bytes(network: ForecasterNetwork, basis: SpectraBasis) -> bytes:
    """Weights, basis and architecture as one safetensors blob."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    tensors |= {f"basis.{name}": torch.from_numpy(getattr(basis, name)) for name in SpectraBasis.__slots__}
    return safetensors.torch.save(tensors, metadata={"spec": network.spec.model_dump_json()})


def load_member(spec: ForecasterSpec, blob: bytes) -> tuple[ForecasterNetwork, SpectraBasis]:
    """What `member_to_bytes` wrote.

    Raises:
        WeightsError: unreadable, not finite, or of another architecture.
    """
    try:
        tensors = safetensors.torch.load(blob)
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        stored = ForecasterSpec.model_validate_json(header["__metadata__"]["spec"])
        parts = {name: tensors.pop(f"basis.{name}").numpy() for name in SpectraBasis.__slots__}
        network = ForecasterNetwork(spec)
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, ValueError, RuntimeError, ValidationError) as error:
        raise _unfit(f"they are unreadable or of another shape ({error})") from error
    if stored != spec:
        raise _unfit("they belong to another architecture")
    basis = SpectraBasis(**parts)
    wanted = (spec.components, spec.channels)
    if basis.components.shape != wanted or basis.mean.shape != (spec.channels,):
        raise _unfit(f"their basis is {basis.components.shape}, not {wanted}")
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values())
    if not finite or not all(np.isfinite(part).all() for part in parts.values()):
        raise _unfit("they hold NaN or infinity")
    return network.eval(), basis


class Forecaster:
    """Immutable set of members; safe to share between threads.

    Args:
        spec: architecture of every member.
        members: one safetensors blob each, at least one.
        device: torch device.

    Raises:
        WeightsError: a blob is unreadable or does not fit, or there is none.
    """

    def __init__(self, spec: ForecasterSpec, members: Sequence[bytes], *, device: str = "cpu") -> None:
        if not members:
            raise _unfit("there are none")
        self.spec = spec
        self._device = torch.device(device)
        loaded = [load_member(spec, blob) for blob in members]
        self._members = tuple((network.to(self._device), basis) for network, basis in loaded)

    def forecast(self, series: NDArray[np.generic]) -> NDArray[np.float32]:
        """Forecasts of every member.

        Args:
            series: (n_times, n_channels) counts, at least `spec.history` spectra; the last ones are used.

        Returns:
            (n_members, horizon, n_channels) float32, in the unit of the series.

        Raises:
            InvalidSpectraError: the series is too short, of other channels, or not finite.
        """
        values = check_series(series)
        require_history(values, channels=self.spec.channels, history=self.spec.history)
        past = values[-self.spec.history :]
        unit = unit_of(past)
        return np.stack(
            [self._of_member(network, basis, past / unit) * unit for network, basis in self._members]
        )

    def _of_member(
        self, network: ForecasterNetwork, basis: SpectraBasis, past: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        scores = torch.from_numpy(basis.scores(past))[None].to(self._device)
        with torch.inference_mode():
            ahead = network(scores)[0].cpu().numpy()
        return np.asarray(basis.spectra(ahead), np.float32)


def _unfit(problem: str) -> WeightsError:
    return WeightsError(
        f"The weights of the forecaster cannot be used: {problem}.",
        safe="nothing was computed with them.",
        next_step="see how this model was built; build it again.",
    )
