"""How well a forecaster does on series that it has not seen, beside persistence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eucentric_models import InvalidSpectraError
from eucentric_models.engines import EngineModel, read_plain_array
from eucentric_models.spectra import ForecasterSpec, check_series, windows_of

from .._training_errors import TrainingDataError
from ._data import RecipeData
from ._scoring import Merit

__all__ = ["FORECAST_MERITS", "rmse", "score_forecaster"]

FORECAST_MERITS = (Merit(name="rmse_ratio_vs_persistence", better="lower", bound=1.0),)


def score_forecaster(model: EngineModel, data: RecipeData) -> dict[str, float]:
    """RMSE of the forecasts of every window of the series, over the mean intensity of its history.

    Returns:
        `rmse_ratio_vs_persistence`, `rmse_relative`, `windows`.

    Raises:
        TrainingDataError: no series is long enough, or one cannot be read.
    """
    spec = ForecasterSpec.model_validate(model.description.parameters)
    try:
        pairs = [
            windows_of(check_series(read_plain_array(path)), history=spec.history, horizon=spec.horizon)
            for path in data.many("series")
        ]
    except InvalidSpectraError as error:
        raise _unfit(error.what.rstrip(".")) from error
    if not any(len(before) for before, _ in pairs):
        raise _unfit(
            f"none of {len(pairs)} held-out series has the {spec.history + spec.horizon} spectra of a window"
        )
    before, after = (np.concatenate([pair[part] for pair in pairs]) for part in (0, 1))
    own = rmse(np.stack([model.answer(past) for past in before]), after)
    return {
        "rmse_ratio_vs_persistence": own / max(rmse(before[:, -1:], after), 1e-12),
        "rmse_relative": own,
        "windows": float(len(before)),
    }


def rmse(forecast: NDArray[np.float32], seen: NDArray[np.float32]) -> float:
    """Root of the mean square difference."""
    return float(np.sqrt(np.mean((forecast - seen) ** 2)))


def _unfit(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"No forecaster can be judged by these data: {reason}.",
        safe="nothing was published.",
        next_step="hold out longer series, or more of them.",
    )
