"""The recipe `few-shot`: classes of chips from a few examples of each, nothing trained (docs/few-shot.md)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType

from eucentric_core import GoldenChip
from eucentric_models import ModelsError
from eucentric_models.engines import BundleDraft, EngineModel
from eucentric_models.fewshot import NONE_OF_THESE, check_support

from .._fewshot import (
    GOLDEN_ANSWER_FILE,
    GOLDEN_FRAME_FILE,
    REFERENCE_FILE,
    FewShotParameters,
    FewShotRequest,
    FewShotResult,
    make_few_shot,
    opened_support,
)
from .._training_errors import TrainingDataError
from ._data import RecipeData
from ._few_shot_scoring import FEW_SHOT_MERITS, score_few_shot
from ._progress import RecipeProgress, TrainingNote
from ._report import DataReport

__all__ = ["FEW_SHOT", "FewShotRecipe"]

GOLDEN_MAX_ABS_ERROR = 0.02
"""Largest difference in a cosine distance that another machine's arithmetic may make."""

_STAGE = "embed"


class FewShotRecipe:
    """Prototypes of named chips; see `Recipe`."""

    name = "few-shot"
    engine = "chips"
    Parameters = FewShotParameters
    merits = FEW_SHOT_MERITS
    inputs: Mapping[str, str] = MappingProxyType(
        {
            "support": "a support set (.json), or a folder with a folder of chips (png, tif, npy) per class",
            "image": "one image (.npy) as will be analysed, best the one that the chips were cut from",
        }
    )

    def check(self, data: RecipeData, parameters: FewShotParameters) -> DataReport:
        """See `Recipe.check`."""
        data.require_known(dict(self.inputs))
        try:
            support, _, _ = opened_support(data.one("support"), data.optional("image"), parameters)
        except ModelsError as error:
            raise TrainingDataError(
                f"The chips cannot be used: {error.what}",
                safe="nothing was trained; the model in production is unchanged.",
                next_step=error.next_step,
            ) from error
        report = check_support(support)
        counts = {name: sum(chip.label == name for chip in support.chips) for name in support.classes}
        chips = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
        return DataReport(
            plan=(
                f"Make prototypes of {len(counts)} classes from {chips}, embedded by {support.encoder}.",
                report.sentences[0],
            ),
            warnings=report.sentences[1:],
            counts={"chips": len(support.chips), "recognised": report.recognised, **counts},
        )

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: FewShotParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """See `Recipe.train`."""
        checked = self.check(data, parameters)
        request = FewShotRequest(
            support=data.one("support"),
            image=data.optional("image"),
            parameters=parameters,
            work_dir=work_dir,
        )
        result = executor.submit(make_few_shot, request).result()
        if progress is not None:
            progress(TrainingNote(stage=_STAGE, done=result.report.chips, of=result.report.chips))
        return _draft(result, checked, work_dir)

    def score(self, model: EngineModel, data: RecipeData) -> dict[str, float]:
        """See `ScoringRecipe.score`."""
        return score_few_shot(model, data)


def _draft(result: FewShotResult, checked: DataReport, work_dir: Path) -> BundleDraft:
    support, report = result.parameters.support, result.report
    names = (*result.members, REFERENCE_FILE, GOLDEN_FRAME_FILE, GOLDEN_ANSWER_FILE)
    metrics = {"support_recognised": report.recognised / report.chips}
    sentences = [*checked.plan, *checked.warnings]
    if result.rejected is not None:
        metrics["none_of_these_fraction"] = result.rejected
        sentences.append(f"In the image {result.rejected:.1%} of the chips are none of the classes.")
    return BundleDraft(
        engine=FewShotRecipe.engine,
        classes=(*(support.classes if support else ()), NONE_OF_THESE),
        parameters=result.parameters.model_dump(mode="json"),
        files={name: work_dir / name for name in names},
        members=result.members,
        drift_reference=REFERENCE_FILE,
        golden=(
            GoldenChip(
                frame=GOLDEN_FRAME_FILE, expected=GOLDEN_ANSWER_FILE, max_abs_error=GOLDEN_MAX_ABS_ERROR
            ),
        ),
        metrics=metrics,
        report=tuple(sentences),
        details={"support_digest": result.digest, "check": report.model_dump(mode="json")},
    )


FEW_SHOT = FewShotRecipe()
