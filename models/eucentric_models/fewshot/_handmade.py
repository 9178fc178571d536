"""Features that can be explained: autocorrelation, local binary patterns, Fourier rings, grey levels."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from scipy import fft

from ._binary_patterns import uniform_patterns
from ._encoder import unit_rows
from ._preparation import CONTRAST_FLOOR, resize
from .errors import EncoderError

SIDE_PX = 64
"""Chips are resized to this."""

_BATCH = 16
"""Chips at a time: Fourier transforms of more do not stay in the cache of a core."""
_MOST_THREADS = 8
_RINGS, _SECTORS = 16, 8
_LBP_SCALES = ((8, 1), (8, 2), (16, 3))
"""Neighbours and radius in pixels of each local binary pattern."""
_SHIFTS_PX = tuple(range(0, 19, 2))
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


REFERENCE_FILE = "handmade.safetensors"
SHIPPED_FOLDER = Path(__file__).parents[1] / "shipped" / "textures"


@dataclass(frozen=True, slots=True)
class HandmadeReference:
    """What features are over simulated textures, so that features of different kinds can be compared.

    Attributes:
        mean: (m,) float32, of each feature.
        scale: (m,) float32, standard deviation of each feature.
        metric: (m, m) float32, makes the scatter of chips of one texture the same in all directions.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    metric: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """As safetensors."""
        return safetensors.numpy.save({"mean": self.mean, "scale": self.scale, "metric": self.metric})

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """From safetensors.

        Raises:
            EncoderError: the content is something else, or not finite.
        """
        try:
            reference = cls(**safetensors.numpy.load(blob))
        except (SafetensorError, TypeError, ValueError) as error:
            raise _unreadable(f"{error}") from error
        size = len(feature_groups())
        shapes = (reference.mean.shape, reference.scale.shape, reference.metric.shape)
        if shapes != ((size,), (size,), (size, size)):
            raise _unreadable(f"shapes {shapes} are not those of {size} features")
        if not all(np.isfinite(part).all() for part in (reference.mean, reference.scale, reference.metric)):
            raise _unreadable("it holds NaN or infinity")
        return reference

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n, m) with equal say for each family, of length 1 together; not yet in the metric."""
        sizes = np.bincount(feature_groups())[feature_groups()]
        weight = (1 / (np.maximum(self.scale, 1e-3) * np.sqrt(sizes))).astype(np.float32)
        # One odd feature must not outweigh all others.
        return unit_rows(np.clip((features - self.mean) * weight, -0.6, 0.6))


class HandmadeEncoder:
    """Embeds chips by features of the image alone, no training; see :class:`ChipEncoder`.

    Autocorrelation by the Wiener-Khinchin theorem; uniform local binary patterns after Ojala, Pietikäinen and
    Mäenpää (IEEE TPAMI 24, 971, 2002); logarithm of the power in Fourier rings and sectors; quantiles of the
    grey levels.

    Features are weighted by how much they differ between places of the same simulated texture.

    Args:
        reference: statistics over simulated textures; the shipped ones if left out.

    Raises:
        EncoderError: the reference is unreadable.
    """

    def __init__(self, reference: HandmadeReference | None = None) -> None:
        self._reference = reference or read_reference()
        self.version = f"handmade-{hashlib.sha256(self._reference.to_bytes()).hexdigest()[:12]}"
        self.dimension = len(self._reference.mean)

    def files(self) -> dict[str, bytes]:
        """See :class:`ChipEncoder`."""
        return {REFERENCE_FILE: self._reference.to_bytes()}

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`ChipEncoder`."""
        return unit_rows(self._reference.standardised(raw_features(chips)) @ self._reference.metric)


def raw_features(chips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (n, m) of chips (n, ny, nx), neither centred nor scaled."""
    batches = [chips[first : first + _BATCH] for first in range(0, len(chips), _BATCH)]
    # What takes the time, patterns and Fourier transforms, lets other threads run.
    with ThreadPoolExecutor(_cores()) as threads:
        return np.concatenate(
            list(threads.map(lambda batch: np.concatenate(_families(batch), axis=1), batches))
        )


@lru_cache(maxsize=1)
def feature_groups() -> NDArray[np.intp]:
    """Which family each feature of :func:`raw_features` is of."""
    families = _families(np.zeros((1, SIDE_PX, SIDE_PX), np.float32))
    return np.repeat(np.arange(len(families)), [family.shape[1] for family in families])


def read_reference(folder: Path = SHIPPED_FOLDER) -> HandmadeReference:
    """The reference in a folder; the shipped one (``python -m eucentric_models.fewshot.fit_handmade``).

    Raises:
        EncoderError: there is none, or it is damaged.
    """
    try:
        return HandmadeReference.from_bytes((folder / REFERENCE_FILE).read_bytes())
    except OSError as error:
        raise _unreadable(f"{error}") from error


def _families(chips: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    level = resize(chips, SIDE_PX)
    local = _local(level)
    window = np.hanning(SIDE_PX).astype(np.float32)
    power = _power(fft.rfft2(local * window[:, None] * window))
    return [
        _autocorrelation(local),
        *_patterns(local),
        _rings(power),
        _sectors(power),
        _levels(level),
    ]


def _local(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chips with mean 0 and standard deviation 1.

    Row by row, because binary patterns turn the last digit of a sum, which depends on its order, into another
    pattern: a chip must not look different among others.
    """
    flat = level.reshape(len(level), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    deviation = np.sqrt((flat**2).mean(axis=1, keepdims=True))
    return np.clip(flat / np.hypot(deviation, np.float32(CONTRAST_FLOOR)), -4, 4).reshape(level.shape)


def _autocorrelation(local: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation with the chip shifted by up to 18 pixels; of the plane one half, the other mirrors it."""
    padded = (2 * SIDE_PX, 2 * SIDE_PX)
    spectrum = _power(fft.rfft2(local, s=padded))
    shifted = fft.irfft2(spectrum, s=padded)
    shifts = np.array([*(-shift for shift in _SHIFTS_PX[:0:-1]), *_SHIFTS_PX])
    overlap = (SIDE_PX - np.abs(shifts)[:, None]) * (SIDE_PX - np.array(_SHIFTS_PX)[None])
    patch = shifted[:, shifts[:, None], np.array(_SHIFTS_PX)[None]] / overlap
    return (patch / np.maximum(patch[:, len(_SHIFTS_PX) - 1, :1, None], 1e-3)).reshape(len(local), -1)


def _patterns(local: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Square roots of the shares of each uniform local binary pattern, at three radii."""
    grey = np.clip(32 * local + 128, 0, 255).astype(np.uint8)
    families = []
    for neighbours, radius_px in _LBP_SCALES:
        patterns = uniform_patterns(grey, neighbours, radius_px).reshape(len(local), -1)
        count = neighbours + 2
        keys = patterns + count * np.arange(len(local))[:, None]
        shares = np.bincount(keys.ravel(), minlength=count * len(local)).reshape(len(local), count)
        families.append(np.sqrt(shares / patterns.shape[1]).astype(np.float32))
    return families


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return spectrum.real**2 + spectrum.imag**2


def _rings(power: NDArray[np.float32]) -> NDArray[np.float32]:
    frequency, _ = _polar()
    edges = np.geomspace(1.5 / SIDE_PX, 0.5, _RINGS + 1)
    return np.log10(_binned(power, np.digitize(frequency, edges) - 1, _RINGS) + 1e-2)


def _sectors(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the power in each direction."""
    frequency, angle = _polar()
    sector = np.minimum((angle / np.pi * _SECTORS).astype(int), _SECTORS - 1)
    sector[frequency < 1.5 / SIDE_PX] = -1
    sums = _binned(power, sector, _SECTORS)
    return sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-6)


def _levels(level: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = level.reshape(len(level), -1)
    quantiles = np.quantile(flat, _QUANTILES, axis=1).T
    return np.concatenate([quantiles, flat.std(axis=1, keepdims=True)], axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _polar() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequency in cycles per pixel and direction in [0, pi) of each element of ``rfft2``."""
    fy, fx = np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX)[None]
    return np.hypot(fy, fx), np.arctan2(fy, fx) % np.pi


def _binned(power: NDArray[np.float32], index: NDArray[np.intp], count: int) -> NDArray[np.float32]:
    """Mean power in each bin; elements of other bins are left out."""
    members = (index.reshape(1, -1) == np.arange(count)[:, None]).astype(np.float32)
    return power.reshape(len(power), -1) @ (members / np.maximum(members.sum(axis=1, keepdims=True), 1)).T


def _cores() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST_THREADS)


def _unreadable(reason: str) -> EncoderError:
    return EncoderError(
        f"The reference of the hand-made features cannot be used: {reason}.",
        safe="no chip was embedded.",
        next_step="install the package again, or make it anew (docs/few-shot.md).",
    )
