"""From arrays to what a browser shows: contrast by percentiles, JPEG, a transparent uncertainty layer."""

from __future__ import annotations

from io import BytesIO
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ._palette import UNCERTAINTY_COLOUR

__all__ = [
    "CONTRASTS",
    "MAX_SIDE_PX",
    "Contrast",
    "encode_image",
    "encode_uncertainty",
    "reduction",
    "to_grey",
]

Contrast = Literal["full", "normal", "strong"]

CONTRASTS: dict[Contrast, tuple[float, float]] = {"full": (0, 100), "normal": (1, 99.8), "strong": (5, 98)}
"""Percentiles of the frame that become black and white. Few, so that no image is encoded often."""

MAX_SIDE_PX = 1024
"""A larger frame is averaged down to this before it is encoded; no screen shows more of it at once."""

_JPEG_QUALITY = 85
_SAMPLED_PIXELS = 1 << 16
_FULL_DEVIATION = 0.35
"""Standard deviation of a probability that is drawn at full strength; it cannot exceed 0.5."""
_MAX_OPACITY = 200
"""Of 255: the image stays visible below."""


def reduction(shape: tuple[int, ...]) -> int:
    """Number of frame pixels along each side of one encoded pixel."""
    return max(1, ceil(max(shape) / MAX_SIDE_PX))


def _averaged(array: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.float32]:
    values = np.nan_to_num(array.astype(np.float32), posinf=0.0, neginf=0.0)
    if factor == 1:
        return values
    ny, nx = (side // factor for side in values.shape)
    blocks = values[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def to_grey(frame: npt.NDArray[np.generic], contrast: Contrast = "normal") -> npt.NDArray[np.uint8]:
    """Stretch a frame `(ny, nx)` of any number type between two percentiles; averaged down if it is large.

    A frame without contrast becomes mid grey.
    """
    values = _averaged(frame, reduction(frame.shape))
    step = max(1, int((values.size / _SAMPLED_PIXELS) ** 0.5))
    black, white = np.percentile(values[::step, ::step], CONTRASTS[contrast])
    if white <= black:
        return np.full(values.shape, 128, np.uint8)
    return np.clip((values - black) * (255 / (white - black)), 0, 255).astype(np.uint8)


def encode_image(frame: npt.NDArray[np.generic], contrast: Contrast = "normal") -> bytes:
    """A frame `(ny, nx)` as JPEG."""
    target = BytesIO()
    Image.fromarray(to_grey(frame, contrast)).save(target, "JPEG", quality=_JPEG_QUALITY)
    return target.getvalue()


def encode_uncertainty(deviation: npt.NDArray[np.generic]) -> bytes:
    """Pixel-wise standard deviation `(ny, nx)`, 0 to 0.5, as PNG: one colour, strongest from 0.35 on."""
    values = _averaged(deviation, reduction(deviation.shape))
    layer = np.empty((*values.shape, 4), np.uint8)
    layer[..., :3] = UNCERTAINTY_COLOUR
    layer[..., 3] = np.clip(values / _FULL_DEVIATION, 0, 1) * _MAX_OPACITY
    target = BytesIO()
    Image.fromarray(layer).save(target, "PNG", compress_level=1)
    return target.getvalue()
