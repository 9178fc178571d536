"""Where a scan lies on a specimen: its centre, its rotation, and how a tilted specimen is foreshortened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .crystal import ProjectedColumns

__all__ = ["View"]


@dataclass(frozen=True, slots=True)
class View:
    """A scanned field on a specimen.

    Attributes:
        centre_m: ``[y, x]`` on the specimen that lies in the middle of the field.
        rotation_rad: how far the fast scan axis is turned from x towards y.
        foreshortening: ``(y, x)`` projected over true distance, the cosines of the specimen's tilts.
    """

    centre_m: tuple[float, float] = (0.0, 0.0)
    rotation_rad: float = 0.0
    foreshortening: tuple[float, float] = (1.0, 1.0)

    @property
    def upright(self) -> bool:
        """Whether the axes of field and specimen coincide."""
        return self.rotation_rad == 0 and self.foreshortening == (1.0, 1.0)

    @property
    def to_field(self) -> NDArray[np.float64]:
        """(2, 2) matrix from an offset on the specimen to one in the field, both ``[y, x]``."""
        c, s = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        return np.array([[c, -s], [s, c]]) @ np.diag(self.foreshortening)

    @property
    def to_specimen(self) -> NDArray[np.float64]:
        """(2, 2) matrix from an offset in the field to one on the specimen, both ``[y, x]``."""
        c, s = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        return np.diag(1 / np.asarray(self.foreshortening)) @ np.array([[c, s], [-s, c]])

    def place_m(self, offset_m: tuple[float, float]) -> tuple[float, float]:
        """Place on the specimen, ``[y, x]``, of an offset from the middle of the field."""
        y, x = np.asarray(self.centre_m) + self.to_specimen @ np.asarray(offset_m)
        return float(y), float(x)

    def reach_m(self, half_size_m: tuple[float, float]) -> tuple[float, float]:
        """Half the size of the upright rectangle on the specimen that holds the field."""
        y, x = np.abs(self.to_specimen) @ np.asarray(half_size_m)
        return float(y), float(x)

    def rows_within(self, columns: ProjectedColumns, half_size_m: tuple[float, float]) -> NDArray[np.intp]:
        """Indices of the columns inside the field, edges included."""
        rows = columns.rows_within(self.centre_m, self.reach_m(half_size_m))
        if self.upright:
            return rows
        offset = (columns.positions_m[rows] - np.asarray(self.centre_m)) @ self.to_field.T
        return rows[np.all(np.abs(offset) <= np.asarray(half_size_m), axis=1)]

    def projected(self, columns: ProjectedColumns) -> tuple[ProjectedColumns, tuple[float, float]]:
        """The columns as the field's own axes see them, and where on them its middle is.

        An upright view leaves everything as it is.
        """
        if self.upright:
            return columns, self.centre_m
        offset = (columns.positions_m - np.asarray(self.centre_m)) @ self.to_field.T
        seen = ProjectedColumns(positions_m=offset, weight=columns.weight, class_id=columns.class_id)
        return seen, (0.0, 0.0)
