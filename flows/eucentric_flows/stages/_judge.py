"""Champion and challenger on frames that neither was trained on."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eucentric_core import DataFormatError, FrozenModel
from eucentric_model_registry import Comparison, Evidence, Gates, HoldoutScore, Verdict, judge
from eucentric_models import Decoding, NetworkSpec, Preprocessing

from ._blueprint import Champion
from ._judgement import Judgement, judged_once
from ._workspace import Workspace

if TYPE_CHECKING:
    from eucentric_hpc import TrainingSet
    from eucentric_hpc.recipes import BundleDraft
    from eucentric_models.networks import Ensemble

__all__ = ["ModelFiles", "judge_challenger"]


class ModelFiles(FrozenModel):
    """A model as files and parameters, plain enough to cross to any worker."""

    network: NetworkSpec
    preprocessing: Preprocessing
    decoding: Decoding
    classes: tuple[str, ...]
    weights: tuple[Path, ...]

    @classmethod
    def of_champion(cls, champion: Champion) -> Self:
        """The model in service."""
        blueprint = champion.blueprint
        return cls(
            network=blueprint.network,
            preprocessing=blueprint.preprocessing,
            decoding=blueprint.decoding,
            classes=blueprint.classes,
            weights=champion.members,
        )

    @classmethod
    def of_draft(cls, draft: BundleDraft) -> Self:
        """A trained model as it would serve: with the calibration that its own training gave it."""
        return cls.model_validate(
            {
                name: getattr(draft, name)
                for name in ("network", "preprocessing", "decoding", "classes", "weights")
            }
        )


def judge_challenger(
    executor: Executor,
    challenger: ModelFiles,
    champion: ModelFiles | None,
    workspace: Workspace,
    gates: Gates,
    *,
    start: Path,
    recent: Path,
) -> Judgement:
    """Score both on the start hold-out and on recent frames, and hold the challenger against the gates.

    A judgement that was made is not made again.

    Args:
        executor: where the two are scored, side by side.
        challenger: the trained model.
        champion: the model in production; None before the first one.
        workspace: where the judgement is kept.
        gates: the limits.
        start: labelled frames of the conditions that the champion was made for.
        recent: frames of the present conditions.

    Raises:
        TrainingDataError: a hold-out set is missing or damaged.
        WeightsError: the weights do not fit the network.
    """
    return judged_once(workspace, lambda: _judged(executor, challenger, champion, gates, start, recent))


def _judged(
    executor: Executor,
    challenger: ModelFiles,
    champion: ModelFiles | None,
    gates: Gates,
    start: Path,
    recent: Path,
) -> Judgement:
    holdouts = [str(start), str(recent)]
    scoring = [
        executor.submit(score_task, model.model_dump(mode="json"), holdouts)
        for model in (challenger, champion)
        if model is not None
    ]
    scored = [[_score_of(score) for score in future.result()] for future in scoring]
    own, opponent = scored[0], scored[1] if champion is not None else [None, None]
    if own[1] is None:
        sentence = "Not judged: none of the hold-out frames is labelled, so a person has to decide."
        return Judgement(verdict=Verdict(accepted=False, checks=(), sentence=sentence))
    if own[0] is None:
        raise DataFormatError(
            f"None of the frames of {start.name} is labelled.",
            safe="nothing was promoted.",
            next_step="restore the start data of this model.",
        )
    evidence = Evidence(
        start=Comparison(champion=opponent[0], challenger=own[0]),
        recent=Comparison(champion=opponent[1], challenger=own[1]),
    )
    return Judgement(verdict=judge(evidence, gates), evidence=evidence)


def score_task(model_json: dict[str, Any], holdouts: list[str]) -> list[dict[str, Any] | None]:
    """Score a model on hold-out sets; runs on a worker, so JSON goes in and out.

    Args:
        model_json: a :class:`ModelFiles`.
        holdouts: paths of training sets; None is the score of one without labels. A path that is named twice
            is scored once.
    """
    from eucentric_hpc import read_training_set
    from eucentric_models.networks import Ensemble

    model = ModelFiles.model_validate(model_json)
    weights = [path.read_bytes() for path in model.weights]
    ensemble = Ensemble(model.network, weights, preprocessing=model.preprocessing)
    scores = {
        path: _score(ensemble, read_training_set(Path(path)), model) for path in dict.fromkeys(holdouts)
    }
    chosen = (scores[path] for path in holdouts)
    return [None if score is None else score.model_dump(mode="json") for score in chosen]


def _score(ensemble: Ensemble, holdout: TrainingSet, model: ModelFiles) -> HoldoutScore | None:
    from eucentric_hpc import evaluate_ensemble

    if not len(holdout.labelled):
        return None
    figures = evaluate_ensemble(ensemble, holdout, classes=model.classes, decoding=model.decoding)
    columns = [truth for truth in holdout.truths if truth is not None]
    return HoldoutScore(
        f1=figures["f1"],
        precision=figures["precision"],
        recall=figures["recall"],
        position_rmse_m=figures.get("position_rmse_m"),
        calibration_error=figures["calibration_error"],
        class_f1={name: figures[f"f1_{name}"] for name in model.classes},
        class_support={
            name: sum(int((truth[:, 2] == index).sum()) for truth in columns)
            for index, name in enumerate(model.classes)
        },
        frames=int(figures["frames"]),
    )


def _score_of(score: dict[str, Any] | None) -> HoldoutScore | None:
    return None if score is None else HoldoutScore.model_validate(score)
