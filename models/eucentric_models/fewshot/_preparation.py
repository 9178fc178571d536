"""From chips of any size to what an encoder looks at: a fixed size, a local and an absolute channel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LOCAL, LEVEL = 0, 1
"""Channels of prepared chips."""

CONTRAST_FLOOR = 0.01
"""Contrast, over that of the frame, below which a chip counts as flat."""

_LOCAL_LIMIT = 4.0
_LEVEL_LIMITS = (-1.0, 3.0)


def prepare(chips: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Resize chips, and give each a locally normalised channel beside the absolute one.

    The local channel tells texture whatever the thickness or the gain, the level channel tells textures of
    different brightness apart.

    Args:
        chips: (n, ny, nx) float32, finite, on the grey scale of their frame (:func:`frame_scaled`).
        side_px: side of the result.

    Returns:
        (n, 2, side_px, side_px) float32. Channel ``LOCAL`` has mean 0 and standard deviation 1 (less for a
        chip that is nearly constant) and is limited to ±4; channel ``LEVEL`` is ``2 * chip - 1``, limited to
        [-1, 3].
    """
    resized = resize(chips, side_px)
    mean = resized.mean(axis=(1, 2), keepdims=True)
    deviation = resized.std(axis=(1, 2), keepdims=True)
    prepared = np.empty((len(chips), 2, side_px, side_px), np.float32)
    np.clip(
        (resized - mean) / np.hypot(deviation, np.float32(CONTRAST_FLOOR)),
        -_LOCAL_LIMIT,
        _LOCAL_LIMIT,
        out=prepared[:, LOCAL],
    )
    np.clip(2 * resized - 1, *_LEVEL_LIMITS, out=prepared[:, LEVEL])
    return prepared


def resize(chips: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Chips (n, ny, nx) as (n, side_px, side_px), by a triangle filter as wide as the coarser pixel."""
    ny, nx = chips.shape[1:]
    if (ny, nx) == (side_px, side_px):
        return chips
    resized = _resampling(ny, side_px) @ chips @ _resampling(nx, side_px).T
    return np.asarray(resized, np.float32)


@lru_cache(maxsize=64)
def _resampling(n_in: int, n_out: int) -> NDArray[np.float32]:
    """(n_out, n_in) weights of linear interpolation with antialiasing; rows sum to 1."""
    scale = n_in / n_out
    centres = (np.arange(n_out) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(n_in)[None] - centres[:, None]) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, None)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.setflags(write=False)
    return weights
