"""The spectra that are expected next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

if TYPE_CHECKING:
    from ..result_columns import Column

__all__ = ["Forecast"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast; see `eucentric_models.engines.EngineResult`.

    Attributes:
        spectra: (horizon, n_channels) float32, in the unit of the series (counts).
        uncertainty: (horizon, n_channels) float32, standard deviation over the members, same unit.
        last: (n_channels,) float32, the last spectrum of the series: what persistence would forecast.
        energy_ev: (n_channels,) float64; None if the model does not know the axis.
        drift_score: how wrong the forecast of the last spectrum was, over what is normal.
        unsure: sentences.
    """

    spectra: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    last: NDArray[np.float32]
    energy_ev: NDArray[np.float64] | None = None
    drift_score: float | None = None
    unsure: tuple[str, ...] = ()

    def columns(self, pixel_size_m: float | None) -> dict[str, Column]:
        """`channel`, `energy_ev` if known, then counts and uncertainty of each step ahead."""
        table: dict[str, Column] = {"channel": np.arange(self.spectra.shape[1])}
        if self.energy_ev is not None:
            table["energy_ev"] = self.energy_ev
        for step, (values, spread) in enumerate(zip(self.spectra, self.uncertainty, strict=True), start=1):
            table[f"step_{step}_counts"] = values
            table[f"step_{step}_uncertainty_counts"] = spread
        return table

    def summary(self) -> dict[str, JsonValue]:
        """How far ahead, how much is expected to change, and how sure that is."""
        level = max(float(np.abs(self.last).mean()), 1e-9)
        change = float(np.sqrt(np.mean((self.spectra[-1] - self.spectra[0]) ** 2)))
        return {
            "horizon": len(self.spectra),
            "channels": self.spectra.shape[1],
            "relative_change_over_horizon": change / level,
            "mean_relative_uncertainty": float(self.uncertainty.mean()) / level,
        }
