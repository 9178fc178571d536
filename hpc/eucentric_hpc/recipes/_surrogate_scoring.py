"""How well a surrogate predicts measurements that it was not fitted to."""

from __future__ import annotations

import numpy as np

from eucentric_models import ModelsError
from eucentric_models.engines import EngineModel
from eucentric_models.surrogate import SurrogateSpec

from .._training_errors import TrainingDataError
from ._data import RecipeData
from ._scoring import Merit
from ._surrogate_data import read_measured

__all__ = ["SURROGATE_MERITS", "score_surrogate"]

SURROGATE_MERITS = (Merit(name="rmse_over_spread", better="lower", bound=1.0),)


def score_surrogate(model: EngineModel, data: RecipeData) -> dict[str, float]:
    """RMSE over the standard deviation of what was measured: 1 is no better than guessing the mean.

    Returns:
        `rmse_over_spread`, `within_two_deviations` (share), `measurements`.

    Raises:
        TrainingDataError: there are no two different values, or the table cannot be read.
    """
    spec = SurrogateSpec.model_validate(model.description.parameters)
    patches, values = read_measured(data, spec.patch_px, fewest=2)
    spread = float(values.std())
    if spread == 0:
        raise TrainingDataError(
            "No surrogate can be judged by these measurements: every value is the same.",
            safe="nothing was published.",
            next_step="measure where the property differs, too.",
        )
    try:
        mean, deviation = model.answer(patches).T
    except ModelsError as error:
        raise TrainingDataError(error.what, safe=error.safe, next_step=error.next_step) from error
    errors = np.abs(mean - values)
    return {
        "rmse_over_spread": float(np.sqrt(np.mean(errors**2))) / spread,
        "within_two_deviations": float(np.mean(errors <= 2 * deviation)),
        "measurements": float(len(values)),
    }
