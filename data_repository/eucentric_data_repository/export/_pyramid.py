"""Smaller versions of an image, for viewers that first show the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["halved", "pyramid_sides"]

_SMALLEST_PX = 128


def pyramid_sides(height_px: int, width_px: int) -> list[tuple[int, int]]:
    """Sides of the full image and of each smaller one, until it is small.

    Example:
        >>> pyramid_sides(513, 400)
        [(513, 400), (257, 200), (129, 100)]
    """
    sides = [(height_px, width_px)]
    while max(sides[-1]) > 2 * _SMALLEST_PX - 1:
        height, width = sides[-1]
        sides.append((-(-height // 2), -(-width // 2)))
    return sides


def halved(image: NDArray[Any]) -> NDArray[Any]:
    """Means over 2 x 2 pixels of the last two dimensions; at an odd edge, over the pixels that are there.

    Args:
        image: `(..., ny, nx)`; integers are rounded to the nearest, half to even.
    """
    ny, nx = image.shape[-2:]
    rows, columns = np.arange(0, ny, 2), np.arange(0, nx, 2)
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, axis=-2), columns, axis=-1)
    counts = np.outer(np.minimum(2, ny - rows), np.minimum(2, nx - columns))
    means = sums / counts
    if image.dtype.kind in "ui":
        means = np.rint(means)
    smaller: NDArray[Any] = means.astype(image.dtype)
    return smaller
