"""Where the tiles of a montage are to be taken, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from eucentric_core import MAX_FRAME_BYTES, ConfigurationError, FrozenModel, StageLimits

from ._exposure import Exposure
from ._geometry import StageGeometry
from ._matching import Matching

__all__ = ["MontagePlan", "TilePlace"]

_Coordinate = Annotated[float, Field(ge=-5e-3, le=5e-3)]
_Length = Annotated[float, Field(gt=0, le=1e-2)]
_BYTES_PER_PIXEL = 4


@dataclass(frozen=True, slots=True)
class TilePlace:
    """One tile of the grid, in the order of acquisition."""

    row: int
    column: int


class MontagePlan(FrozenModel):
    """A grid of overlapping tiles.

    `centre_m` is the stage position (x, y) of the grid's middle; None: where the stage is commanded to at
    the start. Neighbours share `overlap` of their width or height. Rows are scanned to and fro
    (`serpentine`) or all from left to right. With `approach_m` over 0 every tile is approached from that
    far on the side of smaller x and y, which takes up backlash always the same way, at the price of a
    second move. `search_m` is how far two neighbours may be off from each other; None: twice the tolerance
    that the stage states.
    """

    rows: Annotated[int, Field(ge=1, le=300)]
    columns: Annotated[int, Field(ge=1, le=300)]
    exposure: Exposure = Exposure()
    overlap: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    centre_m: tuple[_Coordinate, _Coordinate] | None = None
    serpentine: bool = True
    approach_m: Annotated[float, Field(ge=0, le=1e-4)] = 0.0
    geometry: StageGeometry = StageGeometry()
    search_m: _Length | None = None
    matching: Matching = Matching()

    @classmethod
    def covering(
        cls,
        *,
        height_m: float,
        width_m: float,
        exposure: Exposure,
        overlap: float = 0.2,
        centre_m: tuple[float, float] | None = None,
        approach_m: float = 0.0,
    ) -> Self:
        """The smallest grid that covers a region of this size (image axes) around `centre_m`.

        Raises:
            ConfigurationError: the exposure does not say its field of view.
        """
        field_m = exposure.field_of_view_m
        if field_m is None:
            raise ConfigurationError(
                "To cover a region, the exposure must say its field of view.",
                safe="nothing was exposed or moved.",
                next_step="give Exposure(field_of_view_m=...).",
            )
        sides = (field_m * exposure.height_px / exposure.width_px, field_m)
        rows, columns = (
            1 + max(0, ceil((extent - side) / (side * (1 - overlap)) - 1e-9))
            for extent, side in zip((height_m, width_m), sides, strict=True)
        )
        return cls(
            rows=rows,
            columns=columns,
            exposure=exposure,
            overlap=overlap,
            centre_m=centre_m,
            approach_m=approach_m,
        )

    @property
    def places(self) -> tuple[TilePlace, ...]:
        """The tiles in the order of acquisition."""
        places = []
        for row in range(self.rows):
            columns = range(self.columns)
            turned = self.serpentine and row % 2 == 1
            places += [TilePlace(row, column) for column in (reversed(columns) if turned else columns)]
        return tuple(places)

    @property
    def neighbours(self) -> tuple[tuple[int, int], ...]:
        """Pairs of tiles (indices into `places`) that share an edge: left and right, upper and lower."""
        index = {(place.row, place.column): number for number, place in enumerate(self.places)}
        right = [(index[r, c], index[r, c + 1]) for r in range(self.rows) for c in range(self.columns - 1)]
        below = [(index[r, c], index[r + 1, c]) for r in range(self.rows - 1) for c in range(self.columns)]
        return tuple(right + below)

    def offsets_m(self, field_of_view_m: float) -> npt.NDArray[np.float64]:
        """Image offsets (n, 2) (y, x) of the tiles from the grid's middle, in metres."""
        exposure = self.exposure
        step_x = field_of_view_m * (1 - self.overlap)
        step_y = step_x * exposure.height_px / exposure.width_px
        middle = np.array([(self.rows - 1) / 2, (self.columns - 1) / 2])
        grid = np.array([(place.row, place.column) for place in self.places], np.float64)
        return (grid - middle) * (step_y, step_x)

    def targets_m(
        self, centre_m: tuple[float, float], field_of_view_m: float, scan_rotation_rad: float
    ) -> npt.NDArray[np.float64]:
        """Stage positions (n, 2) (x, y) of the tiles, in metres."""
        offsets = self.geometry.to_stage_m(self.offsets_m(field_of_view_m), scan_rotation_rad)
        return np.asarray(centre_m) + offsets

    def require_reachable(self, targets_m: npt.NDArray[np.float64], limits: StageLimits) -> None:
        """Refuse a montage that the stage could not finish, before anything is exposed.

        Raises:
            ConfigurationError: a tile lies beyond the stage's limits.
        """
        for column, name in enumerate("xy"):
            bounds = limits.x_m if name == "x" else limits.y_m
            low = float(targets_m[:, column].min()) - self.approach_m
            high = float(targets_m[:, column].max())
            if bounds is not None and not (bounds[0] <= low and high <= bounds[1]):
                raise ConfigurationError(
                    f"The stage would have to go from {name} = {low:.3e} m to {high:.3e} m; its range is "
                    f"{bounds[0]:.3e} m to {bounds[1]:.3e} m.",
                    safe="nothing was exposed or moved.",
                    next_step="choose another centre or fewer tiles.",
                )

    def require_feasible(self, *, field_of_view_m: float, tolerance_m: float) -> None:
        """Refuse a montage that could not be put together, before anything is exposed.

        Raises:
            ConfigurationError: the mosaic is too large, or the overlap smaller than the stage's error.
        """
        exposure = self.exposure
        pixels = self.rows * exposure.height_px * self.columns * exposure.width_px
        if pixels * _BYTES_PER_PIXEL > MAX_FRAME_BYTES:
            raise ConfigurationError(
                f"A mosaic of {self.rows} x {self.columns} tiles would be larger than "
                f"{MAX_FRAME_BYTES // 2**20} MiB.",
                safe="nothing was exposed or moved.",
                next_step="choose fewer tiles or fewer pixels.",
            )
        shorter_m = field_of_view_m * min(1.0, exposure.height_px / exposure.width_px)
        if self.overlap * shorter_m <= tolerance_m and self.rows * self.columns > 1:
            raise ConfigurationError(
                f"Tiles would overlap by {self.overlap * shorter_m:.2e} m, and the stage may be off by "
                f"{tolerance_m:.2e} m.",
                safe="nothing was exposed or moved.",
                next_step="choose a larger field of view or a larger overlap.",
            )
