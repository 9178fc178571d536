"""The recipe `elit`: an ensemble that finds atomic columns (see `train_ensemble`)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType

from eucentric_core import GoldenChip, write_atomic
from eucentric_models.engines import BundleDraft

from .._elit import train_ensemble
from .._elit_models import ElitParameters, EnsembleRequest, EnsembleResult
from .._training_progress import TrainingProgress
from ._data import RecipeData
from ._elit_check import check_frames
from ._progress import RecipeProgress, TrainingNote, note_of
from ._report import DataReport

__all__ = ["ELIT", "ElitRecipe"]

GOLDEN_MAX_ABS_ERROR = 0.02
"""Largest difference in a heat map (probability) that another machine's arithmetic may make; bfloat16
and TF32 stay below it, other weights do not."""


class ElitRecipe:
    """Ensemble learning with iterative training; see `Recipe`."""

    name = "elit"
    engine = "atoms"
    Parameters = ElitParameters
    inputs: Mapping[str, str] = MappingProxyType(
        {
            "start": "one training set (.npz) to replay, or to train a first model on",
            "new": "one training set (.npz) that a retraining is about; truth is not needed in all frames",
            "champion": "weights (.safetensors) of the members in production, in order",
        }
    )

    def check(self, data: RecipeData, parameters: ElitParameters) -> DataReport:
        """See `Recipe.check`."""
        data.require_known(dict(self.inputs))
        return check_frames(data.optional("start"), data.optional("new"), data.many("champion"), parameters)

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: ElitParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """See `Recipe.train`."""
        checked = self.check(data, parameters)
        request = EnsembleRequest(
            work_dir=work_dir,
            start_data=data.optional("start"),
            new_data=data.optional("new"),
            champion=data.many("champion"),
            **{name: getattr(parameters, name) for name in ElitParameters.model_fields},
        )

        def tell(stage: str, done: int, of: int) -> None:
            if progress is not None:
                progress(TrainingNote(stage=stage, done=done, of=of))

        def watch(members: tuple[TrainingProgress, ...], waiting: str | None) -> None:
            if progress is not None and (note := note_of(members, waiting, request.members)) is not None:
                progress(note)

        return _draft(train_ensemble(executor, request, progress=tell, watch=watch), request, checked)


def _draft(result: EnsembleResult, request: EnsembleRequest, checked: DataReport) -> BundleDraft:
    reference = request.work_dir / "drift-reference.json"
    write_atomic(reference, result.drift_reference.to_json().encode())
    files = {"drift-reference.json": reference}
    members = tuple(f"member-{index}.safetensors" for index in range(len(result.weights)))
    files |= dict(zip(members, result.weights, strict=True))
    golden = []
    for index, pair in enumerate(result.golden):
        chip = GoldenChip(
            frame=f"golden-{index}-frame.npy",
            expected=f"golden-{index}-expected.npy",
            max_abs_error=GOLDEN_MAX_ABS_ERROR,
        )
        files |= {chip.frame: pair.frame, chip.expected: pair.expected}
        golden.append(chip)
    return BundleDraft(
        engine=ElitRecipe.engine,
        classes=request.classes or tuple(str(index) for index in range(request.network.n_classes)),
        network=request.network.model_dump(mode="json"),
        preprocessing=request.preprocessing.model_dump(mode="json"),
        decoding=result.decoding.model_dump(mode="json"),
        files=files,
        members=members,
        drift_reference="drift-reference.json",
        golden=tuple(golden),
        metrics=result.metrics,
        report=_report(result, checked),
        details=result.model_dump(mode="json"),
    )


def _report(result: EnsembleResult, checked: DataReport) -> tuple[str, ...]:
    data, metrics = result.data, result.metrics
    sentences = [
        f"{len(result.members)} members were trained on {data.train_frames} frames, "
        f"{data.pseudo_labelled_frames} of them labelled by the champion; {len(result.selected)} were kept.",
        f"On {data.validation_frames} held-out frames: F1 {metrics['f1']:.3f}, "
        f"calibration error {metrics['calibration_error']:.3f}.",
    ]
    if data.unused_frames:
        sentences.append(f"{data.unused_frames} frames were not used: the champion was not sure of them.")
    return (*sentences, *result.warnings, *checked.warnings)


ELIT = ElitRecipe()
