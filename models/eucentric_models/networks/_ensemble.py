"""Ensemble inference on one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..drift import frame_features
from ..errors import InvalidFrameError
from ..network_spec import NetworkSpec
from ..preprocessing import DEFAULT_PREPROCESSING, Preprocessing, normalise
from ..uncertainty import mean_entropy
from ._weights import load_weights


@dataclass(frozen=True, slots=True)
class Inference:
    """What an ensemble says about one frame.

    Attributes:
        maps: (n_classes, ny, nx) float32, mean over the members of the class probabilities.
        deviation: (ny, nx) float32, standard deviation over the members, largest over the classes.
        mean_entropy: doubt at the candidate positions in nats, :func:`eucentric_models.mean_entropy`.
        features: (k,) float64 for :class:`eucentric_models.DriftReference`.
    """

    maps: NDArray[np.float32]
    deviation: NDArray[np.float32]
    mean_entropy: float
    features: NDArray[np.float64]


class Ensemble:
    """Immutable set of networks of one architecture; safe to share between threads.

    Args:
        spec: architecture of every member.
        members: one safetensors blob per member, at least one.
        preprocessing: normalisation the members were trained with.
        device: torch device, for example ``cpu`` or ``cuda:0``.

    Raises:
        WeightsError: a blob is unreadable or does not fit.
        ValueError: there is no member.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        members: Sequence[bytes],
        *,
        preprocessing: Preprocessing = DEFAULT_PREPROCESSING,
        device: str = "cpu",
    ) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.spec = spec
        self.preprocessing = preprocessing
        self._device = torch.device(device)
        self._networks = tuple(load_weights(spec, blob).to(self._device) for blob in members)

    def __len__(self) -> int:
        return len(self._networks)

    def infer(self, frame: NDArray[np.generic]) -> Inference:
        """Run every member on one raw frame.

        Args:
            frame: (ny, nx) raw detector counts, any real dtype, each side at least ``spec.size_multiple``.

        Raises:
            InvalidFrameError: the frame is too small, or not a finite real 2D array.
        """
        image = normalise(frame, self.preprocessing)
        if min(image.shape) < self.spec.size_multiple:
            raise InvalidFrameError(
                f"A frame of {image.shape} pixels is too small for this network.",
                safe="no result was computed for it.",
                next_step=f"acquire frames of at least {self.spec.size_multiple} pixels per side.",
            )
        batch = torch.from_numpy(image)[None, None].to(self._device).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            outputs = [network.forward_with_embedding(batch) for network in self._networks]
            members = torch.cat([torch.sigmoid(logits) for logits, _ in outputs])
            embedding = torch.cat([pooled[0] for _, pooled in outputs]).double().cpu().numpy()
            mean = members.mean(dim=0)
            # Tensor.std over the first axis takes longer on a CPU than all the networks together.
            deviation = (members - mean).square_().mean(dim=0).sqrt_().amax(dim=0)
            probabilities = members.cpu().numpy()
        return Inference(
            maps=mean.cpu().numpy(),
            deviation=deviation.cpu().numpy(),
            mean_entropy=mean_entropy(probabilities),
            features=frame_features(image, embedding),
        )
