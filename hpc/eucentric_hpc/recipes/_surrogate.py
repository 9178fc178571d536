"""The recipe `surrogate`: a property learned from patches of the image that it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eucentric_core import GoldenChip, write_atomic
from eucentric_models.engines import BundleDraft, EngineModel
from eucentric_models.surrogate import SurrogateSpec

from ._data import RecipeData
from ._progress import RecipeProgress, TrainingNote
from ._report import DataReport
from ._surrogate_data import read_measured, unusable
from ._surrogate_scoring import SURROGATE_MERITS, score_surrogate

__all__ = ["SURROGATE", "SurrogateParameters", "SurrogateRecipe", "fit_surrogate"]

_FEWEST = 8
_FOLDS = 4
_GOLDEN_PATCHES = 8
_GOLDEN_MAX_RELATIVE_ERROR = 1e-3


class SurrogateParameters(BaseModel):
    """How a surrogate is trained.

    Attributes:
        property_name: what was measured, ending with its unit, as in `plasmon_energy_ev`.
        patch_px: side of a patch, odd.
        hidden: width of the network.
        features: numbers that the process sees of a patch.
        steps: optimiser steps.
        learning_rate: of Adam.
        seed: of the first weights and of the folds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    property_name: str = Field(default="value", pattern=r"^[a-z][a-z0-9_]{0,60}$")
    patch_px: int = Field(default=15, ge=3, le=129)
    hidden: int = Field(default=48, ge=4, le=1024)
    features: int = Field(default=2, ge=1, le=16)
    steps: int = Field(default=200, ge=1, le=100_000)
    learning_rate: float = Field(default=1e-2, gt=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**62)


class SurrogateRecipe:
    """Deep kernel learning; see `Recipe`."""

    name = "surrogate"
    engine = "surrogate"
    Parameters = SurrogateParameters
    merits = SURROGATE_MERITS
    inputs: Mapping[str, str] = MappingProxyType(
        {
            "image": "one image (.npy), (ny, nx)",
            "measured": "one table (.npy), rows y_px, x_px, value: where it was measured, and what",
        }
    )

    def check(self, data: RecipeData, parameters: SurrogateParameters) -> DataReport:
        """See `Recipe.check`."""
        data.require_known(dict(self.inputs))
        patches, values = read_measured(data, parameters.patch_px, fewest=_FEWEST)
        spread = float(values.std())
        if spread <= 1e-12 * max(abs(float(values.mean())), 1e-300):
            raise unusable("every measured value is the same: there is nothing to learn")
        twice = len(patches) - len(np.unique(patches, axis=0))
        return DataReport(
            plan=(
                f"Learn {parameters.property_name} from {len(values)} measurements, "
                f"each with its patch of {parameters.patch_px} x {parameters.patch_px} pixels.",
            ),
            warnings=(f"{twice} places were measured more than once.",) if twice else (),
            counts={"measurements": len(values)},
        )

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: SurrogateParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """See `Recipe.train`."""
        checked = self.check(data, parameters)
        work_dir.mkdir(parents=True, exist_ok=True)
        given = (str(data.one("image")), str(data.one("measured")), parameters.model_dump(), str(work_dir))
        metrics = executor.submit(fit_surrogate, *given).result()
        if progress is not None:
            progress(TrainingNote(stage="fit", done=1, of=1))
        name = parameters.property_name
        error, spread = metrics[f"rmse_{name}"], metrics[f"spread_{name}"]
        names = ("surrogate.safetensors", "reference.json", "patches.npy", "predicted.npy")
        return BundleDraft(
            engine=self.engine,
            classes=(name,),
            parameters=_spec(parameters).model_dump(mode="json"),
            files={file: work_dir / file for file in names},
            members=names[:1],
            drift_reference=names[1],
            golden=(
                GoldenChip(
                    frame=names[2],
                    expected=names[3],
                    max_abs_error=min(1.0, max(1e-9, _GOLDEN_MAX_RELATIVE_ERROR * spread)),
                ),
            ),
            metrics=metrics,
            report=(
                f"Learned from {len_of(checked)} measurements; predicted from the others, a measurement is "
                f"missed by {error:.3g} (rms), where the values spread by {spread:.3g}.",
                *checked.warnings,
            ),
        )

    def score(self, model: EngineModel, data: RecipeData) -> dict[str, float]:
        """See `ScoringRecipe.score`."""
        return score_surrogate(model, data)


def len_of(checked: DataReport) -> int:
    """How many measurements were accepted."""
    return int(str(checked.counts["measurements"]))


def fit_surrogate(image: str, measured: str, parameters: dict[str, Any], work_dir: str) -> dict[str, float]:
    """Fit on all measurements, and say how well each fold is predicted from the others; runs on a worker.

    Returns:
        `rmse_<property>` and `spread_<property>` in the property's unit, `within_two_deviations` (share).
    """
    import torch

    from eucentric_models.surrogate.process import DeepKernelProcess

    given = SurrogateParameters.model_validate(parameters)
    data = RecipeData(files={"image": (Path(image),), "measured": (Path(measured),)})
    patches, values = read_measured(data, given.patch_px, fewest=_FEWEST)

    def fitted(rows: NDArray[np.bool_]) -> DeepKernelProcess:
        generator = torch.Generator().manual_seed(given.seed)
        process = DeepKernelProcess(
            _spec(given), generator, steps=given.steps, learning_rate=given.learning_rate
        )
        process.fit(patches[rows], values[rows])
        return process

    folds = np.random.default_rng([given.seed, 0]).permutation(np.arange(len(values)) % _FOLDS)
    errors, deviations = np.empty(len(values)), np.empty(len(values))
    for fold in range(_FOLDS):
        mean, deviation = fitted(folds != fold).predict(patches[folds == fold])
        errors[folds == fold], deviations[folds == fold] = mean - values[folds == fold], deviation
    whole = fitted(np.ones(len(values), bool))
    folder = Path(work_dir)
    write_atomic(folder / "surrogate.safetensors", whole.to_bytes())
    quantiles = np.percentile(np.abs(patches).mean(axis=1), [1, 50, 99]).tolist()
    write_atomic(
        folder / "reference.json", f'{{"quantiles": {quantiles}, "patches": {len(patches)}}}'.encode()
    )
    golden = np.ascontiguousarray(patches[:_GOLDEN_PATCHES])
    np.save(folder / "patches.npy", golden, allow_pickle=False)
    predicted = np.stack(whole.predict(golden), axis=1).astype(np.float32)
    np.save(folder / "predicted.npy", predicted, allow_pickle=False)
    name = given.property_name
    return {
        f"rmse_{name}": float(np.sqrt(np.mean(errors**2))),
        f"spread_{name}": float(values.std()),
        "within_two_deviations": float(np.mean(np.abs(errors) <= 2 * deviations)),
    }


def _spec(parameters: SurrogateParameters) -> SurrogateSpec:
    return SurrogateSpec(patch_px=parameters.patch_px, hidden=parameters.hidden, features=parameters.features)


SURROGATE = SurrogateRecipe()
