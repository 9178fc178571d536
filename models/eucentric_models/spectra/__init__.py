"""Series of spectra: simulated ones, and what forecasts them.

The forecaster needs torch: :mod:`eucentric_models.spectra.forecaster` is never imported from here.
"""

from __future__ import annotations

from ._basis import SpectraBasis, fit_basis
from ._forecast import Forecast
from ._reduction import ReductionRecipe, edge_spectrum, simulate_reduction
from ._spec import ForecasterSpec
from ._windows import check_series, require_history, unit_of, windows_of

__all__ = [
    "Forecast",
    "ForecasterSpec",
    "ReductionRecipe",
    "SpectraBasis",
    "check_series",
    "edge_spectrum",
    "fit_basis",
    "require_history",
    "simulate_reduction",
    "unit_of",
    "windows_of",
]
