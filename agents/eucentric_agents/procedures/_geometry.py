"""How the image lies on the stage's axes."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from eucentric_core import FrozenModel

__all__ = ["StageGeometry"]

_Float = npt.NDArray[np.float64]


class StageGeometry(FrozenModel):
    """Turns image offsets (y, x) into stage offsets (x, y) and back.

    Moving the stage to a larger x shows what lies at larger x, which with the default geometry is further
    right in the image; larger y is further down. `rotation_rad` turns the image's axes against the stage's
    (from x towards y), `mirrored` flips the image left to right before. The scan rotation
    that the instrument reports is added to the rotation.
    """

    rotation_rad: Annotated[float, Field(ge=-2 * pi, le=2 * pi)] = 0.0
    mirrored: bool = False

    def to_stage_m(self, offset_m: npt.ArrayLike, scan_rotation_rad: float = 0.0) -> _Float:
        """Stage offsets (x, y) of image offsets (..., 2) (y, x), all in metres."""
        return np.asarray(offset_m, np.float64) @ self._matrix(scan_rotation_rad).T

    def to_image_m(self, offset_m: npt.ArrayLike, scan_rotation_rad: float = 0.0) -> _Float:
        """Image offsets (y, x) of stage offsets (..., 2) (x, y), all in metres."""
        # The matrix is orthogonal: its transpose undoes it.
        return np.asarray(offset_m, np.float64) @ self._matrix(scan_rotation_rad)

    def _matrix(self, scan_rotation_rad: float) -> _Float:
        angle = self.rotation_rad + scan_rotation_rad
        turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        x_from_yx = np.array([[0.0, -1.0 if self.mirrored else 1.0], [1.0, 0.0]])
        return turn @ x_from_yx
