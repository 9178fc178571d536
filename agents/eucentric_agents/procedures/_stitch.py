"""One image of many tiles, blended where they overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ._extras import needs

__all__ = ["canvas_shape", "stitch"]

_Float32 = npt.NDArray[np.float32]
_EDGE_WEIGHT = 1e-3


def canvas_shape(positions_px: npt.NDArray[np.float64], tile: tuple[int, int]) -> tuple[int, int]:
    """Shape (ny, nx) of the image that holds tiles with their first pixels at (n, 2) positions."""
    span = np.ceil(positions_px.max(axis=0) - positions_px.min(axis=0)).astype(int)
    return int(span[0]) + tile[0] + 1, int(span[1]) + tile[1] + 1


def stitch(
    tile_of: Callable[[int], npt.NDArray[np.generic]], positions_px: npt.NDArray[np.float64]
) -> tuple[_Float32, _Float32]:
    """Blend tiles with weights that fall linearly from a tile's middle to its edges.

    Args:
        tile_of: gives tile `i`, (ny, nx); called once per tile, so that they need not all be in memory.
        positions_px: (n, 2) places (y, x) of the tiles' first pixels.

    Returns:
        The mosaic, float32, NaN where no tile lies, with its first pixel at `positions_px.min(axis=0)`; and
        the sum of weights, float32, of the same shape.

    Raises:
        UnsupportedError: scipy is not installed.
    """
    ndimage = needs("scipy.ndimage")
    origin = positions_px.min(axis=0)
    first = np.asarray(tile_of(0))
    ny, nx = first.shape
    mosaic = np.zeros(canvas_shape(positions_px, (ny, nx)), np.float32)
    weight = np.zeros_like(mosaic)
    ramp = np.multiply.outer(_ramp(ny), _ramp(nx))
    for index, position in enumerate(positions_px - origin):
        tile = np.asarray(first if index == 0 else tile_of(index), np.float32)
        corner = np.floor(position).astype(int)
        fraction = position - corner
        # One pixel wider, so that nothing falls over the edge when the tile moves by a fraction.
        wider = ((0, 1), (0, 1))
        shifted = ndimage.shift(np.pad(tile, wider, mode="edge"), fraction, order=1, mode="nearest")
        faded = ndimage.shift(np.pad(ramp, wider), fraction, order=1, mode="nearest")
        place = np.s_[corner[0] : corner[0] + ny + 1, corner[1] : corner[1] + nx + 1]
        mosaic[place] += shifted * faded
        weight[place] += faded
    with np.errstate(invalid="ignore", divide="ignore"):
        mosaic = np.where(weight > _EDGE_WEIGHT**2 / 4, mosaic / weight, np.float32(np.nan))
    return mosaic, weight


def _ramp(length: int) -> _Float32:
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) / max(1, length // 2)
    return np.maximum(distance, _EDGE_WEIGHT).astype(np.float32)
