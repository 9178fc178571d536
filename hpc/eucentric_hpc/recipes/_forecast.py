"""The recipe `forecast`: what the next spectra of a series will be."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from eucentric_core import GoldenChip, sha256_file
from eucentric_models import InvalidSpectraError
from eucentric_models.engines import BundleDraft, EngineModel, read_plain_array
from eucentric_models.spectra import ForecasterSpec, check_series

from .._result_store import submit_once
from .._training_errors import TrainingDataError
from .._training_progress import TrainingProgress
from .._watching import looking_at, wait_watching
from ._data import RecipeData
from ._forecast_scoring import FORECAST_MERITS, score_forecaster
from ._forecast_tasks import PROGRESS_FOLDER, finish_forecaster, train_forecaster
from ._progress import RecipeProgress, TrainingNote, note_of
from ._report import DataReport

__all__ = ["FORECAST", "ForecastParameters", "ForecastRecipe"]

_SMALLEST_SET = 4
_GOLDEN_MAX_RELATIVE_ERROR = 1e-3


class ForecastParameters(BaseModel):
    """How a forecaster is trained.

    Attributes:
        components: of the basis that spectra are written in.
        history: spectra that a forecast is made from.
        horizon: spectra that are forecast.
        hidden: width of the LSTM.
        members: networks that differ in their initial weights; their spread is the uncertainty.
        steps: optimiser steps of each.
        batch_size: windows per step.
        learning_rate: peak; it decays to a tenth.
        weight_decay: of AdamW.
        validation_fraction: share of the series held out for the figures.
        energy_offset_ev: energy of the first channel, None if unknown.
        energy_dispersion_ev: width of a channel, None if unknown.
        seed: of split, weights and batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: int = Field(default=6, ge=1, le=64)
    history: int = Field(default=8, ge=2, le=256)
    horizon: int = Field(default=4, ge=1, le=64)
    hidden: int = Field(default=32, ge=4, le=512)
    members: int = Field(default=3, ge=1, le=32)
    steps: int = Field(default=500, ge=1, le=1_000_000)
    batch_size: int = Field(default=128, ge=1, le=65_536)
    learning_rate: float = Field(default=5e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-3, ge=0, le=1)
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    energy_offset_ev: float | None = Field(default=None, ge=-1e4, le=1e6)
    energy_dispersion_ev: float | None = Field(default=None, gt=0, le=1e4)
    seed: int = Field(default=0, ge=0, lt=2**62)


class ForecastRecipe:
    """An LSTM over noise-weighted components, beside persistence as its baseline; see `Recipe`."""

    name = "forecast"
    engine = "spectra"
    Parameters = ForecastParameters
    merits = FORECAST_MERITS
    inputs: Mapping[str, str] = MappingProxyType(
        {"series": "series of spectra (.npy), each (times, channels) counts, all with the same channels"}
    )

    def check(self, data: RecipeData, parameters: ForecastParameters) -> DataReport:
        """See `Recipe.check`."""
        data.require_known(dict(self.inputs))
        paths = data.many("series")
        if len(paths) < _SMALLEST_SET:
            raise _unusable(f"{len(paths)} series were given, {_SMALLEST_SET} are needed")
        loaded = [_series(path) for path in paths]
        channels = {series.shape[1] for series in loaded}
        if len(channels) > 1:
            raise _unusable(f"the series have different channels: {sorted(channels)}")
        needed = parameters.history + parameters.horizon
        for path, series in zip(paths, loaded, strict=True):
            if len(series) < needed:
                raise _unusable(f"{path.name} has {len(series)} spectra, {needed} are needed")
            if series.mean() <= 0:
                raise _unusable(f"{path.name} holds no counts")
        spectra = sum(len(series) for series in loaded)
        if spectra <= parameters.components or channels.pop() < parameters.components:
            raise _unusable(f"{spectra} spectra are too few for {parameters.components} components")
        constant = sum(1 for series in loaded if (series == series[0]).all())
        return DataReport(
            plan=(
                f"Train {parameters.members} forecasters on {len(paths)} series of {spectra} spectra: "
                f"{parameters.horizon} spectra ahead from {parameters.history}.",
                f"Hold out {_held_out(len(paths), parameters)} series, and compare with persistence on them.",
            ),
            warnings=(f"{constant} series never change: they teach nothing.",) if constant else (),
            counts={"series": len(paths), "spectra": spectra},
        )

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: ForecastParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """See `Recipe.train`."""
        checked = self.check(data, parameters)
        work_dir.mkdir(parents=True, exist_ok=True)
        paths = data.many("series")
        order = np.random.default_rng([parameters.seed, 0]).permutation(len(paths))
        count = _held_out(len(paths), parameters)
        held_out, known = ([str(paths[i]) for i in part] for part in (order[:count], order[count:]))
        spec = _spec(parameters, channels=_series(paths[0]).shape[1])
        plain = (spec.model_dump(mode="json"), parameters.model_dump(mode="json"), known, str(work_dir))
        # Part of what identifies a task: files of the same names may hold something else the next time.
        said = parameters.model_dump_json() + "".join(sha256_file(path) for path in paths)
        content = hashlib.sha256(said.encode()).hexdigest()
        tasks = work_dir / "tasks"
        futures = [
            submit_once(executor, tasks, f"member-{member}", train_forecaster, *plain, member, content)
            for member in range(parameters.members)
        ]
        _await_members(executor, futures, work_dir, progress)
        members = [str(future.result()["weights"]) for future in futures]
        finish = (spec.model_dump(mode="json"), members, held_out, str(work_dir), content)
        facts = submit_once(executor, tasks, "finish", finish_forecaster, *finish).result()
        _tell(progress, "finish", 1, 1)
        return _draft(spec, members, facts, checked, work_dir)

    def score(self, model: EngineModel, data: RecipeData) -> dict[str, float]:
        """See `ScoringRecipe.score`."""
        return score_forecaster(model, data)


def _await_members(
    executor: Executor,
    futures: Sequence[Future[dict[str, Any]]],
    work_dir: Path,
    progress: RecipeProgress | None,
) -> None:
    """Wait for all of them, and say meanwhile how far they are or what they wait for."""

    def watch(members: tuple[TrainingProgress, ...], waiting: str | None) -> None:
        if progress is not None and (note := note_of(members, waiting, len(futures))) is not None:
            progress(note)

    look = looking_at(executor, work_dir / PROGRESS_FOLDER, watch)
    pending = set(futures)
    while pending:
        _, pending = wait_watching(pending, math.inf, look)
        _tell(progress, "members", len(futures) - len(pending), len(futures))


def _draft(
    spec: ForecasterSpec,
    members: Sequence[str],
    facts: dict[str, JsonValue],
    checked: DataReport,
    work_dir: Path,
) -> BundleDraft:
    metrics = {name: float(str(value)) for name, value in facts.items()}
    names = tuple(Path(member).name for member in members)
    files = {name: work_dir / name for name in (*names, "reference.json", "history.npy", "forecast.npy")}
    ratio = metrics["rmse_ratio_vs_persistence"]
    better = f"{1 - ratio:.0%} better" if ratio < 1 else f"{ratio - 1:.0%} WORSE"
    return BundleDraft(
        engine=ForecastRecipe.engine,
        classes=("intensity_counts",),
        parameters=spec.model_dump(mode="json"),
        files=files,
        members=names,
        drift_reference="reference.json",
        golden=(
            GoldenChip(
                frame="history.npy",
                expected="forecast.npy",
                max_abs_error=_GOLDEN_MAX_RELATIVE_ERROR,
            ),
        ),
        metrics=metrics,
        report=(
            f"{len(members)} forecasters were trained; on held-out series their RMSE is {better} than that "
            f"of persistence ({metrics['rmse_relative']:.4f} of the mean intensity).",
            *checked.warnings,
        ),
    )


def _spec(parameters: ForecastParameters, *, channels: int) -> ForecasterSpec:
    shared = set(ForecasterSpec.model_fields) & set(ForecastParameters.model_fields)
    return ForecasterSpec(channels=channels, **{name: getattr(parameters, name) for name in shared})


def _held_out(series: int, parameters: ForecastParameters) -> int:
    return min(max(1, round(parameters.validation_fraction * series)), series - 1)


def _series(path: Path) -> NDArray[np.float32]:
    try:
        return check_series(read_plain_array(path))
    except InvalidSpectraError as error:
        raise _unusable(f"{path.name}: {error.what}") from error


def _tell(progress: RecipeProgress | None, stage: str, done: int, of: int) -> None:
    if progress is not None:
        progress(TrainingNote(stage=stage, done=done, of=of))


def _unusable(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"The training data cannot be used: {reason}.",
        safe="nothing was trained and no file was changed.",
        next_step="mend or remove what is named and submit again.",
    )


FORECAST = ForecastRecipe()
