"""Seeing where the field lies on an image taken earlier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eucentric_core import Frame

from ._extras import needs

__all__ = ["resampled"]


def resampled(frame: Frame, pixel_m: float) -> npt.NDArray[np.float64]:
    """The frame with another pixel size, cut so that its middle stays the middle.

    Finer frames are smoothed first, so that nothing below the new pixel size is folded in.

    Raises:
        UnsupportedError: scipy is not installed.
        DataFormatError: the frame has no pixel size.
    """
    ndimage = needs("scipy.ndimage")
    image = np.asarray(frame.array, np.float64)
    ratio = pixel_m / frame.header.pixel_size_m
    if abs(ratio - 1.0) < 1e-6:
        return image
    if ratio > 1:
        # The variance that turns a pixel of the fine grid into one of the coarse grid.
        image = ndimage.gaussian_filter(image, float(np.sqrt((ratio**2 - 1) / 12)), mode="nearest")
    shape = tuple(max(1, int(np.floor((n - 1) / ratio + 1e-9)) + 1) for n in image.shape)
    start = [(n - 1) / 2 - (m - 1) / 2 * ratio for n, m in zip(image.shape, shape, strict=True)]
    return ndimage.affine_transform(
        image, np.array([ratio, ratio]), offset=start, output_shape=shape, order=1, mode="nearest"
    )
