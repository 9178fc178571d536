"""Champion and challenger of any engine, by the figures that their recipe measures on what was held out."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_model_registry import Figure, Figures, Gates, MetricGate, judge_figures
from eucentric_models.engines import ModelDescription, write_model_folder

from ._blueprint import Champion
from ._judgement import Judgement, judged_once
from ._workspace import Workspace

if TYPE_CHECKING:
    from eucentric_hpc.recipes import BundleDraft, Merit, RecipeData

__all__ = ["gates_of", "judge_by_merits"]

_RECENT = "recent"


def judge_by_merits(
    executor: Executor,
    recipe: str,
    draft: BundleDraft,
    champion: Champion | None,
    workspace: Workspace,
    gates: Gates,
    *,
    holdout: RecipeData,
) -> Judgement:
    """Have a recipe score both models on what was held out, and hold the challenger against the gates.

    A judgement that was made is not made again.

    Args:
        executor: where the two are scored, side by side.
        recipe: which recipe scores.
        draft: the trained model.
        champion: the model in production; None before the first one.
        workspace: where the judgement is kept.
        gates: `on_data` are the limits; without any, those of the recipe (see `gates_of`).
        holdout: inputs that nobody trained on.

    Raises:
        TrainingConfigError: the recipe cannot judge models.
        TrainingDataError: these data cannot judge a model.
        ModelsError: a model cannot be opened, or does not repeat its golden answers.
    """
    return judged_once(
        workspace, lambda: _judged(executor, recipe, draft, champion, workspace, gates, holdout)
    )


def _judged(
    executor: Executor,
    recipe: str,
    draft: BundleDraft,
    champion: Champion | None,
    workspace: Workspace,
    gates: Gates,
    holdout: RecipeData,
) -> Judgement:
    from eucentric_hpc.recipes import merits_of, recipe_named, score_model

    merits = merits_of(recipe_named(recipe))
    if not workspace.challenger.exists():
        write_model_folder(workspace.challenger, draft, name="challenger", version=1)
    shared = set(ModelDescription.model_fields) & set(type(draft).model_fields)
    described = ModelDescription.model_validate(
        {"name": "challenger", "version": 1} | {field: getattr(draft, field) for field in shared}
    )
    models: list[tuple[Path, ModelDescription]] = [(workspace.challenger, described)]
    if champion is not None:
        models.append((champion.folder, ModelDescription.of_manifest(champion.manifest)))
    given = holdout.model_dump(mode="json")
    scoring = [
        executor.submit(score_model, recipe, str(folder), description.model_dump(mode="json"), given)
        for folder, description in models
    ]
    scored = [_figures(future.result()) for future in scoring]
    own, opponent = scored[0], scored[1] if champion is not None else None
    first = merits[0].name
    verdict = judge_figures(
        own,
        opponent,
        gates.on_data or gates_of(merits),
        headline=(_RECENT, first, f"{first} on held-out data"),
    )
    return Judgement(verdict=verdict, challenger=own, champion=opponent)


def gates_of(merits: tuple[Merit, ...]) -> tuple[MetricGate, ...]:
    """A recipe's own gates: the first merit better than the champion's, and none beyond its bound."""
    first = merits[0]
    gates = [
        MetricGate(
            metric=first.name,
            better=first.better,
            min_gain=0.0,
            title=f"better {first.name}",
            holdout=_RECENT,
        )
    ]
    for merit in merits:
        if merit.bound is not None:
            limit = {"at_most" if merit.better == "lower" else "at_least": merit.bound}
            gates.append(
                MetricGate.model_validate(
                    {"metric": merit.name, "holdout": _RECENT, "title": f"bound of {merit.name}", **limit}
                )
            )
    return tuple(gates)


def _figures(scores: dict[str, float]) -> Figures:
    return Figures(holdouts={_RECENT: {name: Figure(value=value) for name, value in scores.items()}})
