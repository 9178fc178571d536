"""The grid of chips over an image: sizes in pixels and nanometres, and which chip lies where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

__all__ = ["SMALLEST_CHIP_PX", "Grid", "Place"]

SMALLEST_CHIP_PX = 8
"""As few-shot models have it: a smaller chip shows nothing that could be told apart."""

_LARGEST_CHIP_PX = 1024

Place = tuple[int, int]
"""Row and column of a chip in a grid, from 0."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Chips of one size side by side; what is left over at the bottom and at the right is left out.

    Made by `of` and changed by `with_side_px`, `with_side_nm` and `with_offset_px`, which keep it possible.

    Attributes:
        shape_px: (ny, nx) of the image.
        side_px: of a chip.
        offset_px: rows and columns left out at the top and at the left, each less than a side.
        pixel_size_m: of the image, None if unknown.
    """

    shape_px: tuple[int, int]
    side_px: int
    offset_px: tuple[int, int] = (0, 0)
    pixel_size_m: float | None = None

    @classmethod
    def of(cls, shape_px: tuple[int, int], pixel_size_m: float | None, *, side_px: int | None = None) -> Self:
        """A grid of about sixteen chips along the shorter side, or of chips of a given size."""
        wanted = min(shape_px) // 16 if side_px is None else side_px
        return cls(shape_px, 1, (0, 0), pixel_size_m).with_side_px(wanted)

    @property
    def largest_side_px(self) -> int:
        """The largest chip of which two fit along the shorter side, if any is large enough."""
        half = min(self.shape_px) // 2
        return min(_LARGEST_CHIP_PX, half if half >= SMALLEST_CHIP_PX else max(1, min(self.shape_px)))

    @property
    def rows(self) -> int:
        """How many rows of chips there are."""
        return max(0, (self.shape_px[0] - self.offset_px[0]) // self.side_px)

    @property
    def columns(self) -> int:
        """How many columns of chips there are."""
        return max(0, (self.shape_px[1] - self.offset_px[1]) // self.side_px)

    @property
    def side_nm(self) -> float | None:
        """Side of a chip; None where the pixel size is unknown."""
        return None if self.pixel_size_m is None else self.side_px * self.pixel_size_m * 1e9

    def with_side_px(self, side_px: int) -> Self:
        """Chips of another size, as near to it as is possible."""
        side = min(max(side_px, SMALLEST_CHIP_PX), max(SMALLEST_CHIP_PX, self.largest_side_px))
        return replace(self, side_px=side).with_offset_px(*self.offset_px)

    def with_side_nm(self, side_nm: float) -> Self:
        """Chips of about this size; unchanged where the pixel size is unknown."""
        if self.pixel_size_m is None:
            return self
        return self.with_side_px(round(side_nm * 1e-9 / self.pixel_size_m))

    def with_offset_px(self, y_px: int, x_px: int) -> Self:
        """A grid that begins elsewhere; an offset of a whole side or more is none of its own."""
        ny, nx = self.shape_px
        offset = (
            min(max(y_px, 0), self.side_px - 1, max(0, ny - self.side_px)),
            min(max(x_px, 0), self.side_px - 1, max(0, nx - self.side_px)),
        )
        return replace(self, offset_px=offset)

    def __contains__(self, place: Place) -> bool:
        return 0 <= place[0] < self.rows and 0 <= place[1] < self.columns

    def corner_px(self, place: Place) -> tuple[int, int]:
        """First row and column of pixels of a chip."""
        return (self.offset_px[0] + place[0] * self.side_px, self.offset_px[1] + place[1] * self.side_px)

    def centre_px(self, place: Place) -> tuple[float, float]:
        """Middle of a chip, y and x; the corner of the image is (0, 0)."""
        top, left = self.corner_px(place)
        return (top + self.side_px / 2, left + self.side_px / 2)

    def place_at(self, y_px: float, x_px: float) -> Place | None:
        """The chip that a point lies in; None outside of all."""
        place = (
            int((y_px - self.offset_px[0]) // self.side_px),
            int((x_px - self.offset_px[1]) // self.side_px),
        )
        return place if place in self else None
