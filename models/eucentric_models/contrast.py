"""Whether atomic columns are brighter or darker than what is between them.

In annular dark field they are bright, in annular bright field and often in phase contrast dark. Peaks that
stand alone make the distribution of intensities skew towards their side, which is only a hint: a blurred
honeycomb is skew towards its holes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .flattening import flattened

_SURROUNDINGS_PX = 24.0
_LARGEST_SIDE_PX = 1024
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_SMALLEST_DEVIATION = 1e-6


def skewness(image: NDArray[np.float32]) -> float:
    """Third standardised moment of an image without its noise and its slow background.

    Args:
        image: (ny, nx) finite, at a pixel size at which columns are some pixels wide; the middle 1024 pixels
            of larger ones are looked at.

    Returns:
        Negative where what stands out is dark; 0 for a constant image or one of less than 16 pixels a side.
    """
    top, left = (max(0, (side - _LARGEST_SIDE_PX) // 2) for side in image.shape)
    middle = image[top : top + _LARGEST_SIDE_PX, left : left + _LARGEST_SIDE_PX]
    if min(middle.shape) < 16:
        return 0.0
    smooth = flattened(middle, _SURROUNDINGS_PX)
    for _ in range(2):
        for axis in (0, 1):
            side = smooth.shape[axis] - len(_BINOMIAL) + 1
            parts = (np.take(smooth, range(i, i + side), axis) for i in range(len(_BINOMIAL)))
            smooth = np.sum([share * part for share, part in zip(_BINOMIAL, parts, strict=True)], axis=0)
    apart = smooth.astype(np.float64) - float(smooth.mean())
    deviation = float(apart.std())
    return float((apart**3).mean() / deviation**3) if deviation > _SMALLEST_DEVIATION else 0.0


def inverted(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """The image with bright and dark exchanged, (ny, nx), from 0 up."""
    values = np.asarray(image, np.float32)
    return np.asarray(values.max() - values)
