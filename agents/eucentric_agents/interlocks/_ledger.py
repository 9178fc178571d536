"""How much of the beam each region of the specimen has received in one session."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ._field import Field

__all__ = ["MAX_REGIONS", "Cell", "DoseLedger", "Region"]

MAX_REGIONS = 4096
_MAX_CELLS_PER_FIELD = 256

Cell = tuple[int, int]
"""Number of a square of the specimen, (x, y), counted from the origin of the stage."""


@dataclass(slots=True)
class Region:
    """What one square has received. `area_m2` is the largest part of it that one field has covered."""

    dose_e_per_a2: float = 0.0
    beam_on_s: float = 0.0
    area_m2: float = 0.0


class DoseLedger:
    """Doses of one session on a grid of squares; whoever calls holds a lock.

    Every figure is an upper bound. A square gets the full dose of each field that touches it. Where squares
    would be too many, the least exposed ones are merged: from then on every square that is not listed
    counts as exposed as the most exposed of the merged ones. The dose of a field that touches more squares
    than can be listed counts for all.

    Args:
        session: name of the session; "" outside any.
        region_size_m: side of a square.
        max_regions: most squares to remember one by one.
    """

    def __init__(self, session: str, region_size_m: float, *, max_regions: int = MAX_REGIONS) -> None:
        self.session = session
        self.region_size_m = region_size_m
        self.regions: dict[Cell, Region] = {}
        self.everywhere = Region()
        self.unlisted = Region()
        self.dose_area_e_m2_per_a2 = 0.0
        self.beam_on_s = 0.0
        self.area_m2 = 0.0
        self.merged = False
        self.changed: set[Cell] = set()
        self._max_regions = max_regions

    def add(
        self, field: Field, dose_e_per_a2: float, beam_on_s: float, *, within: Field | None = None
    ) -> None:
        """The beam was on this field for a while and left this dose there.

        `within` holds the places that the field may have been at, if it moved.
        """
        self.beam_on_s += beam_on_s
        self.dose_area_e_m2_per_a2 += dose_e_per_a2 * field.area_m2
        cells = self._cells(within or field)
        if cells is None:
            self.everywhere.dose_e_per_a2 += dose_e_per_a2
            self.everywhere.beam_on_s += beam_on_s
            self.everywhere.area_m2 = max(self.everywhere.area_m2, field.area_m2)
            return
        for cell in cells:
            region = self.regions.get(cell)
            if region is None:
                region = Region(self.unlisted.dose_e_per_a2, self.unlisted.beam_on_s)
                self.regions[cell] = region
            region.dose_e_per_a2 += dose_e_per_a2
            region.beam_on_s += beam_on_s
            self._cover(cell, region, field)
            self.changed.add(cell)
        if len(self.regions) > self._max_regions:
            self._merge_least_exposed()

    def absorb(self, other: DoseLedger) -> None:
        """Everything that another ledger of the same grid holds happened in this session too."""
        self.beam_on_s += other.beam_on_s
        self.dose_area_e_m2_per_a2 += other.dose_area_e_m2_per_a2
        for cell in self.regions.keys() | other.regions.keys():
            before = self.regions.get(cell, self.unlisted)
            more = other.regions.get(cell, other.unlisted)
            self.area_m2 += max(0.0, more.area_m2 - before.area_m2)
            self.regions[cell] = _sum(before, more)
            self.changed.add(cell)
        self.everywhere = _sum(self.everywhere, other.everywhere)
        self.unlisted = _sum(self.unlisted, other.unlisted)
        self.merged = self.merged or other.merged
        if len(self.regions) > self._max_regions:
            self._merge_least_exposed()

    def most_exposed(self, field: Field) -> tuple[float, float]:
        """Largest dose (e/A^2) and longest time (s) among the squares that a field touches."""
        cells = self._cells(field)
        touched = (
            [self.unlisted, *self.regions.values()]
            if cells is None
            else [self.regions.get(cell, self.unlisted) for cell in cells]
        )
        return (
            self.everywhere.dose_e_per_a2 + max(region.dose_e_per_a2 for region in touched),
            self.everywhere.beam_on_s + max(region.beam_on_s for region in touched),
        )

    @property
    def mean_e_per_a2(self) -> float:
        """Mean dose over the area that was scanned; 0 before anything was."""
        area_m2 = max(self.area_m2, self.everywhere.area_m2)
        return self.dose_area_e_m2_per_a2 / area_m2 if area_m2 > 0 else 0.0

    def mean_with(self, dose_e_per_a2: float, field: Field) -> float:
        """The mean after one more dose on a field."""
        cells = self._cells(field)
        area_m2 = self.area_m2
        if cells is not None:
            area_m2 += sum(self._newly_covered(cell, field) for cell in cells)
        area_m2 = max(area_m2, self.everywhere.area_m2, field.area_m2)
        return (self.dose_area_e_m2_per_a2 + dose_e_per_a2 * field.area_m2) / area_m2

    def _cover(self, cell: Cell, region: Region, field: Field) -> None:
        new_m2 = self._newly_covered(cell, field)
        self.area_m2 += new_m2
        region.area_m2 += new_m2

    def _newly_covered(self, cell: Cell, field: Field) -> float:
        """Area of a square that no field so far has covered, for sure: too little rather than too much."""
        region = self.regions.get(cell)
        if self.merged and region is None:
            # It may be one of the merged ones, whose area is counted already.
            return 0.0
        size = self.region_size_m
        width = _overlap(cell[0] * size, size, field.x_m, field.width_m)
        height = _overlap(cell[1] * size, size, field.y_m, field.height_m)
        return max(0.0, width * height - (0.0 if region is None else region.area_m2))

    def _cells(self, field: Field) -> list[Cell] | None:
        columns = self._numbers(field.x_m, field.width_m / 2 + field.reach_m)
        rows = self._numbers(field.y_m, field.height_m / 2 + field.reach_m)
        if len(columns) * len(rows) > min(_MAX_CELLS_PER_FIELD, self._max_regions):
            return None
        return [(column, row) for column in columns for row in rows]

    def _numbers(self, centre_m: float, half_m: float) -> range:
        first = math.floor((centre_m - half_m) / self.region_size_m)
        return range(first, math.floor((centre_m + half_m) / self.region_size_m) + 1)

    def _merge_least_exposed(self) -> None:
        for cell in list(_least_exposed(self.regions, len(self.regions) - self._max_regions * 3 // 4)):
            gone = self.regions.pop(cell)
            self.unlisted.dose_e_per_a2 = max(self.unlisted.dose_e_per_a2, gone.dose_e_per_a2)
            self.unlisted.beam_on_s = max(self.unlisted.beam_on_s, gone.beam_on_s)
            self.changed.add(cell)
        self.merged = True


def _sum(one: Region, other: Region) -> Region:
    return Region(
        one.dose_e_per_a2 + other.dose_e_per_a2,
        one.beam_on_s + other.beam_on_s,
        max(one.area_m2, other.area_m2),
    )


def _overlap(low: float, size: float, centre: float, width: float) -> float:
    return max(0.0, min(low + size, centre + width / 2) - max(low, centre - width / 2))


def _least_exposed(regions: dict[Cell, Region], count: int) -> Iterator[Cell]:
    yield from sorted(regions, key=lambda cell: regions[cell].dose_e_per_a2)[:count]
