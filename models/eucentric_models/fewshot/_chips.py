"""Chips: a frame cut into squares of one size, on the grey scale of the frame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric_core import FrozenModel

from ..preprocessing import check_frame
from .errors import ChipError

SMALLEST_CHIP_PX = 8
LARGEST_CHIP_PX = 1024
MOST_CHIPS = 100_000

_LOW_PERCENTILE, _HIGH_PERCENTILE = 1.0, 99.5
_SAMPLED_PIXELS = 1 << 18


class GreyScale(FrozenModel):
    """Intensities of a frame that count as black and white.

    Attributes:
        low: becomes 0.
        high: becomes 1.
    """

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.high > self.low:
            raise ValueError("high must be above low")
        return self

    @classmethod
    def of(cls, image: NDArray[np.floating]) -> Self:
        """The 1st and the 99.5th percentile of an image of any shape.

        Raises:
            ChipError: the image is constant.
        """
        step = max(1, round(image.size / _SAMPLED_PIXELS))
        low, high = np.percentile(np.ravel(image)[::step], [_LOW_PERCENTILE, _HIGH_PERCENTILE])
        if not high > low:
            low, high = float(image.min()), float(image.max())
        if not high > low:
            raise ChipError(
                "The frame is constant: every pixel has the same value.",
                safe="no chip was cut.",
                next_step="look whether the beam was blanked or the detector off.",
            )
        return cls(low=float(low), high=float(high))

    def applied(self, image: NDArray[np.floating]) -> NDArray[np.float32]:
        """The image with ``low`` at 0 and ``high`` at 1, not clipped."""
        return ((image - np.float32(self.low)) * np.float32(1 / (self.high - self.low))).astype(np.float32)


class ChipGrid(FrozenModel):
    """How a frame is cut; exactly one of the two sizes is given.

    Attributes:
        chip_px: side of a chip in pixels.
        chip_nm: side of a chip in nanometres, for frames of any magnification.
        offset_px: rows and columns left out at the top and at the left.
        stride_chips: from chip to chip, in sides of a chip: below 1 chips overlap and the map is finer.
    """

    chip_px: Annotated[int, Field(ge=SMALLEST_CHIP_PX, le=LARGEST_CHIP_PX)] | None = None
    chip_nm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    offset_px: tuple[
        Annotated[int, Field(ge=0, le=LARGEST_CHIP_PX)], Annotated[int, Field(ge=0, le=LARGEST_CHIP_PX)]
    ] = (0, 0)
    stride_chips: Annotated[float, Field(ge=0.1, le=1)] = 1.0

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.chip_px is None) == (self.chip_nm is None):
            raise ValueError("give the size of a chip either as chip_px or as chip_nm")
        return self

    def side_px(self, pixel_size_m: float | None) -> int:
        """Side of a chip in pixels of a frame.

        Args:
            pixel_size_m: of the frame; needed for sizes in nm.

        Raises:
            ChipError: the pixel size is unknown though needed, or makes chips of an impossible size.
        """
        if self.chip_px is not None:
            return self.chip_px
        if pixel_size_m is None:
            raise _uncut(
                f"chips of {self.chip_nm:g} nm were asked for, but the frame's pixel size is unknown",
                "give the pixel size, or the size of a chip in pixels",
            )
        side = round(float(self.chip_nm or 0) * 1e-9 / pixel_size_m)
        if not SMALLEST_CHIP_PX <= side <= LARGEST_CHIP_PX:
            raise _uncut(
                f"chips of {self.chip_nm:g} nm are {side} pixels of {pixel_size_m * 1e12:g} pm",
                f"choose a size of {SMALLEST_CHIP_PX} to {LARGEST_CHIP_PX} pixels",
            )
        return side


@dataclass(frozen=True, slots=True)
class Chips:
    """Chips of one frame.

    Attributes:
        pixels: (n, side, side) float32, on the grey scale of the frame.
        rows: (n,) row of each chip in the grid, from 0.
        columns: (n,) column of each chip in the grid, from 0.
        tops_px: (n,) first row of pixels.
        lefts_px: (n,) first column of pixels.
        frame_shape: (ny, nx) of the frame.
        frame_sha256: of the frame's values, shape and dtype.
        grey_scale: what black and white are.
        pixel_size_m: of the frame, None if unknown.
    """

    pixels: NDArray[np.float32]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    tops_px: NDArray[np.intp]
    lefts_px: NDArray[np.intp]
    frame_shape: tuple[int, int]
    frame_sha256: str
    grey_scale: GreyScale
    pixel_size_m: float | None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side_px(self) -> int:
        """Side of a chip."""
        return int(self.pixels.shape[1])

    @property
    def centres_px(self) -> NDArray[np.float32]:
        """(n, 2) `[y, x]` of the middle of each chip; pixel centres have integer coordinates."""
        middle = (self.side_px - 1) / 2
        return np.stack([self.tops_px + middle, self.lefts_px + middle], axis=1).astype(np.float32)

    def at(self, row: int, column: int) -> int:
        """Index of the chip at a place of the grid.

        Raises:
            ChipError: the grid has no such place.
        """
        (found,) = np.nonzero((self.rows == row) & (self.columns == column))
        if not len(found):
            raise _uncut(
                f"there is no chip in row {row}, column {column}",
                f"rows go from 0 to {self.rows.max()}, columns from 0 to {self.columns.max()}",
            )
        return int(found[0])


def cut_chips(
    frame: NDArray[np.generic],
    grid: ChipGrid,
    *,
    pixel_size_m: float | None = None,
    grey_scale: GreyScale | None = None,
) -> Chips:
    """Cut a frame into chips; what is left over at the bottom and at the right is left out.

    Args:
        frame: (ny, nx), any real dtype.
        grid: size, offset and overlap of chips.
        pixel_size_m: of the frame, None if unknown.
        grey_scale: black and white; None for the frame's own percentiles.

    Raises:
        InvalidFrameError: the frame is not 2D, is empty, complex, or holds NaN or infinity.
        ChipError: the frame is constant or smaller than a chip, or there would be too many chips.
    """
    image = check_frame(frame)
    side = grid.side_px(pixel_size_m)
    stride = max(1, round(side * grid.stride_chips))
    tops, lefts = (
        np.arange(offset, length - side + 1, stride)
        for offset, length in zip(grid.offset_px, image.shape, strict=True)
    )
    count = len(tops) * len(lefts)
    if not count:
        raise _uncut(
            f"the frame has {image.shape[0]} x {image.shape[1]} pixels, a chip {side} x {side}"
            + (f" after an offset of {grid.offset_px}" if any(grid.offset_px) else ""),
            "choose smaller chips or a larger frame",
        )
    if count > MOST_CHIPS:
        raise _uncut(f"there would be {count} chips", f"choose larger chips: {MOST_CHIPS} is the limit")
    scale = grey_scale or GreyScale.of(image)
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))[np.ix_(tops, lefts)]
    rows, columns = np.indices((len(tops), len(lefts))).reshape(2, -1)
    return Chips(
        pixels=scale.applied(windows.reshape(count, side, side)),
        rows=rows,
        columns=columns,
        tops_px=tops[rows],
        lefts_px=lefts[columns],
        frame_shape=(image.shape[0], image.shape[1]),
        frame_sha256=content_sha256(frame),
        grey_scale=scale,
        pixel_size_m=pixel_size_m,
    )


def content_sha256(array: NDArray[np.generic]) -> str:
    """sha256 of an array's values together with shape and dtype."""
    plain = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{plain.dtype.str}{plain.shape}".encode())
    digest.update(plain.view(np.uint8).data if plain.size else b"")
    return digest.hexdigest()


def _uncut(reason: str, next_step: str) -> ChipError:
    return ChipError(
        f"The frame cannot be cut: {reason}.", safe="no chip was cut.", next_step=f"{next_step}."
    )
