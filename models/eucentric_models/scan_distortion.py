"""How a raster scan displaces what it records: shear, wobble and jitter of its rows.

A row is displaced as a whole, along x: within a row the scan is fast, from row to row slow drift of the
specimen, interference of the mains and chance add up (Jones and Nellist, Microsc. Microanal. 19, 1050, 2013).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class ScanDistortion(BaseModel):
    """Displacements of the rows of a frame along x.

    Attributes:
        shear: displacement per row, in pixels: drift of the specimen along x during the frame.
        wobble_amplitude_px: amplitude of a sine over the rows.
        wobble_period_rows: its period.
        wobble_phase_rad: its phase at the first row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shear: float = Field(default=0.0, ge=-0.5, le=0.5)
    wobble_amplitude_px: float = Field(default=0.0, ge=0, le=50)
    wobble_period_rows: float = Field(default=64.0, ge=4, le=1e5)
    wobble_phase_rad: float = Field(default=0.0, ge=-np.pi, le=np.pi)

    def displacement_px(self, rows: NDArray[np.floating], n_rows: int) -> NDArray[np.float64]:
        """Displacement along x at (fractional) rows of a frame of `n_rows`; the middle row is not sheared."""
        rows = np.asarray(rows, np.float64)
        phase = 2 * np.pi * rows / self.wobble_period_rows + self.wobble_phase_rad
        return self.shear * (rows - (n_rows - 1) / 2) + self.wobble_amplitude_px * np.sin(phase)


NO_DISTORTION = ScanDistortion()
