"""Frames without their uneven background: contamination and support thickness vary slowly, columns do not."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .resampling import resample

_COARSE_PX = 4.0  # rms width of the smoothing, in coarse pixels
_SMALLEST_DEVIATION = 1e-3  # of the whole frame's


def flattened(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Deviation from the surroundings, in units of what is usual there.

    A local z-score: the mean over a Gaussian window of rms width `sigma_px` is taken away, the rest
    divided by its rms over a window twice as wide.

    Args:
        image: (ny, nx) finite.
        sigma_px: wider than a unit cell, narrower than what is to be removed.

    Returns:
        (ny, nx) float32; zeros for a constant frame.
    """
    if not np.ptp(image) > 0:
        return np.zeros(image.shape, np.float32)
    rest = image - _smoothed(image, sigma_px)
    variance = _smoothed(rest * rest, 2 * sigma_px)
    floor = max((_SMALLEST_DEVIATION * float(image.std())) ** 2, float(np.finfo(np.float32).tiny))
    return np.asarray(rest / np.sqrt(np.maximum(variance, np.float32(floor))))


def _smoothed(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    # Slow variations need few pixels: the window is applied to a coarse copy.
    scale = min(1.0, _COARSE_PX / sigma_px)
    coarse = resample(image, scale)
    rows, columns = (_gaussian(side, sigma_px * scale) for side in coarse.shape)
    shape = (image.shape[0], image.shape[1])
    return resample(rows @ coarse @ columns.T, 1 / scale, shape=shape)


@lru_cache(maxsize=16)
def _gaussian(length: int, sigma: float) -> NDArray[np.float32]:
    steps = np.arange(length)
    kernel = np.exp(-0.5 * ((steps[:, None] - steps[None]) / sigma) ** 2)
    result = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    result.setflags(write=False)
    return result
