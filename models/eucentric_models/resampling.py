"""Frames at another pixel size, and positions there and back.

Pixel centres have integer coordinates, and the outer edges of a frame and of its resampled copy coincide: a
position ``y`` becomes ``(y + 1/2) scale - 1/2``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LARGEST_SIDE_PX = 16384


def resample(
    image: NDArray[np.floating], scale: float, *, shape: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """A frame with `scale` times as many pixels along each side.

    Linear interpolation to more pixels; to fewer, the triangle is as wide as a new pixel, so that nothing
    aliases and every electron counts.

    Args:
        image: (ny, nx).
        scale: new pixels per old one, > 0.
        shape: of the result; None: ``(round(scale ny), round(scale nx))``, each side at least 1.

    Returns:
        float32 of that shape.

    Raises:
        ValueError: the scale is not positive or the result would be too large.
    """
    ny, nx = shape or (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    if not scale > 0 or max(ny, nx) > LARGEST_SIDE_PX:
        raise ValueError(f"{image.shape} pixels cannot be resampled by {scale}")
    image = np.asarray(image, np.float32)
    if scale == 1 and image.shape == (ny, nx):
        return image
    # A separable resampling is two matrix products.
    return np.asarray(_weights(image.shape[0], ny, scale) @ image @ _weights(image.shape[1], nx, scale).T)


def rescaled_positions(positions_px: NDArray[np.floating], scale: float) -> NDArray[np.float64]:
    """Positions (n, 2) of a frame in the pixels of its resampled copy; `1 / scale` takes them back."""
    return (np.asarray(positions_px, np.float64) + 0.5) * scale - 0.5


@lru_cache(maxsize=16)
def _weights(length: int, new_length: int, scale: float) -> NDArray[np.float32]:
    centres = (np.arange(new_length) + 0.5) / scale - 0.5
    width = max(1.0, 1 / scale)
    # Beyond the edge the outermost pixel is repeated.
    reach = int(np.ceil(width)) + 1
    taps = np.arange(-reach, length + reach)
    weights = np.maximum(0, 1 - np.abs(taps[None] - centres[:, None]) / width)
    folded = np.zeros((new_length, length))
    np.add.at(folded.T, np.clip(taps, 0, length - 1), weights.T)
    folded /= folded.sum(axis=1, keepdims=True)
    result = folded.astype(np.float32)
    result.setflags(write=False)
    return result
