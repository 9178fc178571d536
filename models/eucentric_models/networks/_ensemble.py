"""Ensemble inference on one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from .._run_moments import at_next_run
from ..decoding import Decoding, Detections, decode
from ..drift import frame_features
from ..lattice_prior import settled
from ..network_spec import NetworkSpec
from ..preprocessing import DEFAULT_PREPROCESSING, Preprocessing, network_input
from ..resampling import resample, rescaled_positions
from ..uncertainty import mean_entropy
from ._unet import UNet
from ._weights import checked_tensors, load_weights


@dataclass(frozen=True, slots=True)
class Inference:
    """What an ensemble says about one frame.

    Attributes:
        maps: (n_classes, scale ny, scale nx) float32, mean over the members of the class probabilities.
        deviation: (ny, nx) float32 in pixels of the frame, standard deviation over the members, largest
            over the classes.
        mean_entropy: doubt at the candidate positions in nats, :func:`eucentric_models.mean_entropy`.
        features: (k,) float64 for :class:`eucentric_models.DriftReference`.
        scale: pixels of the maps per pixel of the frame, along one side; 1 unless the network has a pixel
            size of its own and the frame another.
    """

    maps: NDArray[np.float32]
    deviation: NDArray[np.float32]
    mean_entropy: float
    features: NDArray[np.float64]
    scale: float = 1.0

    def detections(self, decoding: Decoding) -> Detections:
        """The columns that the maps show, positions in pixels of the frame."""
        found = decode(self.maps, decoding)
        positions: NDArray[np.floating] = found.positions_px
        if decoding.lattice_prior is not None:
            variance_px2 = decoding.lattice_prior.variance_px2(self.noise_power)
            positions = settled(positions, found.class_id, variance_px2)
        if self.scale != 1:
            positions = rescaled_positions(positions, 1 / self.scale)
        return Detections(positions.astype(np.float32), found.class_id, found.confidence)

    @property
    def noise_power(self) -> float:
        """What the finest ring of the spectrum of the normalised frame holds."""
        return float(np.exp(self.features[-1]))

    def deviation_at(self, positions_px: NDArray[np.floating]) -> NDArray[np.float32]:
        """Deviation at the frame pixel nearest to each of (n, 2) positions in the frame."""
        y, x = np.clip(np.rint(positions_px).astype(int), 0, np.array(self.deviation.shape) - 1).T
        return self.deviation[y, x]


class Ensemble:
    """Immutable set of networks of one architecture; safe to share between threads.

    The weights are checked at once; on the CPU the networks are built with the first frame. An edge that
    gives the weights to another back end never needs them.

    Args:
        spec: architecture of every member.
        members: one safetensors blob per member, at least one.
        preprocessing: normalisation the members were trained with.
        device: torch device, for example ``cpu`` or ``cuda:0``.
        precision: arithmetic inside the networks; ``bfloat16`` halves the time where the processor has it and
            changes probabilities by less than 0.02.

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
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.spec = spec
        self.preprocessing = preprocessing
        self._device = torch.device(device)
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._members = tuple(members)
        if self._device.type != "cpu":
            # A device that cannot take them has to say so here.
            len(self._networks)
            return
        for blob in self._members:
            at_next_run()
            checked_tensors(spec, blob)

    @cached_property
    def _networks(self) -> tuple[UNet, ...]:
        return tuple(load_weights(self.spec, blob).to(self._device, self._dtype) for blob in self._members)

    def __len__(self) -> int:
        return len(self._members)

    def infer(self, frame: NDArray[np.generic], *, pixel_size_m: float | None = None) -> Inference:
        """Run every member on one raw frame.

        Args:
            frame: (ny, nx) raw detector counts, any real dtype, each side at least ``spec.size_multiple``
                at the network's pixel size.
            pixel_size_m: calibration of the frame; a network with a working pixel size gets the frame
                resampled to it. None: the frame is taken as it is.

        Raises:
            InvalidFrameError: the frame is too small, not a finite real 2D array, or of a pixel size that
                this network cannot work with.
        """
        image, scale = network_input(
            frame, self.preprocessing, pixel_size_m, smallest_side_px=self.spec.size_multiple
        )
        batch = torch.from_numpy(image)[None, None].to(self._device, self._dtype)
        batch = batch.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            outputs = [network.forward_with_embedding(batch) for network in self._networks]
            # Planes in a row each, unlike in the networks: everything after reads plane by plane.
            members = torch.cat([torch.sigmoid(logits.float().contiguous()) for logits, _ in outputs])
            embedding = torch.cat([pooled[0] for _, pooled in outputs]).double().cpu().numpy()
            mean = members.mean(dim=0)
            if len(members) == 1:
                deviation = torch.zeros_like(mean[0])
            else:
                # Tensor.std over the first axis takes longer on a CPU than all the networks together.
                deviation = (members - mean).square_().mean(dim=0).sqrt_().amax(dim=0)
            probabilities = members.cpu().numpy()
        shape = (np.shape(frame)[0], np.shape(frame)[1])
        return Inference(
            maps=mean.cpu().numpy(),
            deviation=resample(deviation.cpu().numpy(), 1 / scale, shape=shape),
            mean_entropy=mean_entropy(probabilities),
            features=frame_features(image, embedding),
            scale=scale,
        )
