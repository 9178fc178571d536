"""A property predicted over an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ..result_columns import Column, position_columns

__all__ = ["PropertyMap"]


@dataclass(frozen=True, slots=True)
class PropertyMap:
    """What a surrogate predicts; see `eucentric_models.engines.EngineResult`.

    Attributes:
        positions_px: (n, 2) `[y, x]`, on a grid.
        value: (n,) float64, in the unit that `name` ends with.
        uncertainty: (n,) float64, standard deviation, same unit.
        name: of the property, with its unit.
        stride_px: between points of the grid.
        drift_score: see `EngineResult`.
        unsure: see `EngineResult`.
    """

    positions_px: NDArray[np.integer]
    value: NDArray[np.float64]
    uncertainty: NDArray[np.float64]
    name: str
    stride_px: int
    drift_score: float | None = None
    unsure: tuple[str, ...] = ()

    def columns(self, pixel_size_m: float | None) -> dict[str, Column]:
        """`y_px, x_px`, with a calibration `y_nm, x_nm`, then the property and its uncertainty."""
        table = position_columns(self.positions_px, pixel_size_m)
        table[self.name] = self.value
        table[f"uncertainty_{self.name}"] = self.uncertainty
        return table

    def summary(self) -> dict[str, JsonValue]:
        """Range, mean uncertainty and where the largest value is expected."""
        best = int(self.value.argmax())
        return {
            "count": len(self.value),
            f"largest_{self.name}": float(self.value[best]),
            f"smallest_{self.name}": float(self.value.min()),
            "mean_uncertainty": float(self.uncertainty.mean()),
            "largest_at_px": [int(side) for side in self.positions_px[best]],
        }
