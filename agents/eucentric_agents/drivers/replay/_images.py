"""What a reader hands over: grey images of one file, checked, with the calibration the file gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import refuse
from ._labels import Labels

__all__ = ["Calibration", "ImageSeries", "grey_series"]

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue (ITU-R BT.601)."""

_KEPT = frozenset({"uint8", "uint16", "uint32", "int16", "int32", "float16", "float32", "float64"})
_WIDENED = {"bool": "uint8", "int8": "int16", "int64": "float64", "uint64": "float64"}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pixel sizes along y and x, and the coordinates of the first pixel, in metres."""

    y_scale_m: float
    x_scale_m: float
    y_offset_m: float = 0.0
    x_offset_m: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageSeries:
    """The images of one file.

    Attributes:
        stack: (n, ny, nx), finite, of a dtype that a `FrameHeader` may announce.
        calibration: None if the file has none.
        optics: fields of `eucentric_core.Optics` that the file states.
        simulated: whether the file says that its images were computed.
        labels: what is known to be in an image, by its index in the stack.
        stage: fields of `eucentric_core.StagePosition` that the file states.
    """

    stack: NDArray[Any]
    calibration: Calibration | None = None
    optics: dict[str, float] = field(default_factory=dict)
    simulated: bool = False
    labels: Mapping[int, Labels] = field(default_factory=dict)
    stage: dict[str, float] = field(default_factory=dict)


def grey_series(name: str, array: NDArray[Any], *, colour: bool = False) -> NDArray[Any]:
    """An array of a file as a stack (n, ny, nx) of grey images.

    Args:
        name: what to call the file in errors.
        array: one image (ny, nx) or a series (n, ny, nx); with `colour`, a last axis of 3 or 4 channels
            that becomes luminance, alpha ignored.
        colour: whether the last axis holds colours.

    Raises:
        DataFormatError: it is not an image or series, has no pixels, is complex, or is not finite.
    """
    if colour:
        weighted = array[..., :3].astype(np.float64) @ _LUMINANCE
        array = np.rint(weighted).astype(array.dtype) if array.dtype.kind in "ui" else weighted
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3:
        raise refuse(
            name, f"it holds an array of {array.ndim} dimensions, not an image or a series of images"
        )
    if min(array.shape) < 1 or min(array.shape[1:]) < 16:
        raise refuse(
            name, f"its images are {array.shape[1]} x {array.shape[2]} pixels, too small to be frames"
        )
    kind = array.dtype.newbyteorder("=").name
    kind = _WIDENED.get(kind, kind)
    if kind not in _KEPT:
        raise refuse(name, f"its numbers are {array.dtype}, not real and plain")
    array = array.astype(kind, copy=False)
    for index, image in enumerate(array):
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise refuse(
                name,
                f"image {index} holds {np.count_nonzero(~np.isfinite(image))} values that are not finite",
                "decide what the missing pixels shall be and write the file anew.",
            )
    array.flags.writeable = False
    return array
