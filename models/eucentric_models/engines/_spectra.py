"""The engine `spectra`: what the next spectra of a series will be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..spectra import Forecast, ForecasterSpec, check_series
from ._description import ModelDescription
from ._errors import unusable_model

if TYPE_CHECKING:
    from ..spectra.forecaster import Forecaster

__all__ = ["SPECTRA", "ForecastReference", "SpectraEngine", "SpectraModel"]


class ForecastReference(BaseModel):
    """How wrong forecasts are when nothing has changed.

    Attributes:
        edge_error: 99th percentile, over held-out windows,
            of the relative RMSE of the first forecast spectrum.
        windows: how many windows it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge_error: float = Field(gt=0)
    windows: int = Field(ge=1)


class SpectraModel:
    """An open forecaster; see `EngineModel`."""

    def __init__(
        self, description: ModelDescription, forecaster: Forecaster, reference: ForecastReference | None
    ) -> None:
        self.description = description
        self._forecaster = forecaster
        self._reference = reference

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> Forecast:
        """Forecast what comes after a series.

        Args:
            image: (n_times, n_channels) counts, one spectrum after another.
            pixel_size_m: not used.

        Raises:
            InvalidSpectraError: the series is too short, of other channels, or not finite.
        """
        series = check_series(image)
        members = self._forecaster.forecast(series)
        spec = self._forecaster.spec
        energy_ev: NDArray[np.float64] | None = None
        if spec.energy_offset_ev is not None and spec.energy_dispersion_ev is not None:
            steps = np.arange(spec.channels, dtype=np.float64)
            energy_ev = np.asarray(spec.energy_offset_ev + spec.energy_dispersion_ev * steps, np.float64)
        drift_score = self._drift_score(series)
        doubts = []
        if drift_score is not None and drift_score > 1:
            doubts.append(
                f"The last spectrum was not what was forecast for it (drift score {drift_score:.2f})."
            )
        if drift_score is None:
            doubts.append("The series is too short to check a forecast against its last spectrum.")
        return Forecast(
            spectra=members.mean(axis=0),
            uncertainty=members.std(axis=0),
            last=series[-1],
            energy_ev=energy_ev,
            drift_score=drift_score,
            unsure=tuple(doubts),
        )

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """The mean forecast, (horizon, n_channels)."""
        return np.asarray(self._forecaster.forecast(array).mean(axis=0), np.float32)

    def _drift_score(self, series: NDArray[np.float32]) -> float | None:
        if self._reference is None or len(series) <= self._forecaster.spec.history:
            return None
        expected = self._forecaster.forecast(series[:-1]).mean(axis=0)[0]
        return relative_error(expected, series[-1]) / self._reference.edge_error


class SpectraEngine:
    """Opens forecasters; see `Engine`."""

    name = "spectra"
    takes: Literal["image", "spectra"] = "spectra"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> SpectraModel:
        """Open a forecaster.

        Raises:
            EngineError: the parameters or the drift reference are none of this engine.
            WeightsError: weights are unreadable or do not fit.
        """
        from ..spectra.forecaster import Forecaster  # torch, only for who opens a model

        try:
            spec = ForecasterSpec.model_validate(description.parameters)
            name = description.drift_reference
            reference = None
            if name is not None:
                reference = ForecastReference.model_validate_json((folder / name).read_bytes())
        except (ValidationError, OSError) as error:
            raise unusable_model(f"The parameters of the forecaster are not usable: {error}.") from error
        blobs = [(folder / member).read_bytes() for member in description.members]
        return SpectraModel(description, Forecaster(spec, blobs, device=device), reference)


SPECTRA = SpectraEngine()


def relative_error(expected: NDArray[np.floating], seen: NDArray[np.floating]) -> float:
    """Root of the mean square difference over the mean of what was seen."""
    level = max(float(np.mean(seen)), 1e-9)
    return float(np.sqrt(np.mean((expected - seen) ** 2))) / level
