"""The image that is labelled, and where it is from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from eucentric_core import DataFormatError, Frame
from eucentric_model_registry.support_sets import ImageOrigin

from ._errors import ImageUnreadableError
from ._grid import SMALLEST_CHIP_PX

__all__ = ["StudioImage", "checked_image"]

_MOST_PIXELS = 64 << 20
_SMALLEST_M, _LARGEST_M = 1e-13, 1e-6


@dataclass(frozen=True, eq=False)
class StudioImage:
    """An image.

    Attributes:
        array: (ny, nx), finite and real, never changed.
        pixel_size_m: None if nobody knows it.
        origin: of the image.
        title: for people.
        doubts: what they must know of it.
    """

    array: npt.NDArray[np.generic]
    pixel_size_m: float | None
    origin: ImageOrigin
    title: str
    doubts: tuple[str, ...] = ()

    @classmethod
    def of_frame(cls, frame: Frame, *, live: bool) -> Self:
        """A frame of the instrument or of the repository.

        Raises:
            ImageUnreadableError: it is no image.
        """
        header = frame.header
        try:
            size_m = header.pixel_size_m
        except DataFormatError:
            size_m = None
        origin = ImageOrigin(
            kind="live" if live else "session",
            session=header.session,
            stream=header.stream,
            sequence=header.sequence,
        )
        title = f"{header.session} · {header.stream} · frame {header.sequence}"
        return cls(checked_image(frame.array, title), size_m, origin, title)

    @property
    def shape_px(self) -> tuple[int, int]:
        """(ny, nx)."""
        ny, nx = self.array.shape
        return ny, nx

    def with_pixel_size(self, pixel_size_m: float | None) -> Self:
        """The same image, its pixel size said by somebody.

        Raises:
            ImageUnreadableError: no pixel is as large.
        """
        if pixel_size_m is not None and not _SMALLEST_M <= pixel_size_m <= _LARGEST_M:
            raise _refused(
                f"{pixel_size_m * 1e12:g} pm cannot be the size of a pixel",
                f"give one of {_SMALLEST_M * 1e12:g} to {_LARGEST_M * 1e12:g} pm",
            )
        return replace(self, pixel_size_m=pixel_size_m)


def checked_image(array: npt.NDArray[np.generic], name: str) -> npt.NDArray[np.generic]:
    """An image that can be labelled.

    Raises:
        ImageUnreadableError: it cannot.
    """
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise _refused(f"{name} is no grey image: shape {array.shape}, {array.dtype}", "choose an image")
    if min(array.shape) < 2 * SMALLEST_CHIP_PX:
        raise _refused(
            f"{name} has {array.shape[0]} × {array.shape[1]} pixels",
            f"choose one of at least {2 * SMALLEST_CHIP_PX} × {2 * SMALLEST_CHIP_PX}",
        )
    if array.size > _MOST_PIXELS:
        raise _refused(f"{name} has {array.size >> 20} million pixels", "choose a part of it or bin it")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _refused(f"{name} holds NaN or infinity", "replace them by numbers, and bring it again")
    if array.min() == array.max():
        raise _refused(
            f"{name} is constant: every pixel has the same value",
            "look whether the beam was blanked or the detector off",
        )
    return array


def _refused(reason: str, next_step: str) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"This image cannot be labelled: {reason}.",
        safe="the image that was open is still open.",
        next_step=f"{next_step}.",
    )
