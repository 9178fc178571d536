"""Uniform local binary patterns of many chips at once, in whole numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_UNIT = 1 << 16
"""Weights of interpolation are whole multiples of its inverse: sums are exact, whatever their order."""

_STACK = 8
"""Chips at a time: intermediate results of more do not stay in the cache of a core."""


def uniform_patterns(grey: NDArray[np.uint8], neighbours: int, radius_px: int) -> NDArray[np.uint8]:
    """Uniform patterns after Ojala, Pietikäinen and Mäenpää (IEEE TPAMI 24, 971, 2002).

    The same as `skimage.feature.local_binary_pattern(..., method="uniform")` but for a neighbour that equals
    the centre exactly: here it always counts as not darker, there it depends on rounding and so on where the
    pixel lies.

    Args:
        grey: (n, ny, nx), wider than twice the radius.
        neighbours: on the circle, at most 16.
        radius_px: of the circle.

    Returns:
        (n, ny - 2 radius_px, nx - 2 radius_px): number of neighbours that are not darker than the centre, or
        ``neighbours + 1`` where they lie in more than one arc.
    """
    ny, nx = (side - 2 * radius_px for side in grey.shape[1:])
    patterns = np.empty((len(grey), ny, nx), np.uint8)
    table = _uniform(neighbours)
    for first in range(0, len(grey), _STACK):
        stack = grey[first : first + _STACK].astype(np.int32)
        centre = stack[:, radius_px : radius_px + ny, radius_px : radius_px + nx] * np.int32(_UNIT)
        code = np.zeros(centre.shape, np.uint16)
        level, part = np.empty_like(centre), np.empty_like(centre)
        for bit, corners in enumerate(_circle(neighbours, radius_px)):
            level.fill(0)
            for dy, dx, weight in corners:
                y, x = radius_px + dy, radius_px + dx
                level += np.multiply(stack[:, y : y + ny, x : x + nx], np.int32(weight), out=part)
            code |= (level >= centre).view(np.uint8).astype(np.uint16) << np.uint16(bit)
        patterns[first : first + _STACK] = table[code]
    return patterns


@lru_cache(maxsize=8)
def _circle(neighbours: int, radius_px: int) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """For each neighbour up to four pixels (dy, dx) with weights that sum to the unit: bilinear
    interpolation.
    """
    angles = 2 * np.pi * np.arange(neighbours) / neighbours
    # Rounded, so that neighbours on the axes fall onto pixels.
    across = np.round(radius_px * np.stack([-np.sin(angles), np.cos(angles)], axis=1), 5)
    circle = []
    for y, x in across.tolist():
        top, left = int(np.floor(y)), int(np.floor(x))
        down, right = y - top, x - left
        weights = {
            (top, left + 1): round(_UNIT * (1 - down) * right),
            (top + 1, left): round(_UNIT * down * (1 - right)),
            (top + 1, left + 1): round(_UNIT * down * right),
        }
        weights[(top, left)] = _UNIT - sum(weights.values())
        circle.append(tuple((*place, weight) for place, weight in weights.items() if weight))
    return tuple(circle)


@lru_cache(maxsize=4)
def _uniform(neighbours: int) -> NDArray[np.uint8]:
    """(2**neighbours,) pattern of each code."""
    bits = np.arange(1 << neighbours)[:, None] >> np.arange(neighbours) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    table = np.where(changes <= 2, bits.sum(axis=1), neighbours + 1).astype(np.uint8)
    table.setflags(write=False)
    return table
