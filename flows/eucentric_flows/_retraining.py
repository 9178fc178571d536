"""From new data to a better model in service: the stages in their order."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import DEFAULT_ENGINE, settings_for_model
from eucentric_data_repository import open_catalogue

from ._errors import HeldError
from ._pipeline import Ending, RunStage, Say, Site, publish
from .policy import FramesInput, RetrainAction, RetrainRequest
from .stages import (
    Champion,
    Gathered,
    Judgement,
    ModelFiles,
    Publication,
    Workspace,
    fetch_base,
    fetch_champion,
    gather,
    judge_by_merits,
    judge_challenger,
    require_retrainable,
    retraining_plan,
    seed_of,
    start_data,
    train,
)

if TYPE_CHECKING:
    from eucentric_hpc.recipes import BundleDraft

__all__ = ["retrain"]


def retrain(
    site: Site,
    request: RetrainRequest,
    action: RetrainAction,
    executor: Future[Executor],
    run_stage: RunStage,
) -> Ending:
    """Retrain a model by its policy's recipe on new data, and put the result in service if it is better.

    Raises:
        HeldError: there is too little to learn from.
        EucentricError: a stage failed; a repeated call goes on where this one stopped.
    """
    workspace = Workspace.of(site.settings, request.model, request.trigger_id)

    def gather_data(say: Say) -> tuple[Champion | None, Gathered]:
        champion = fetch_champion(site.registry, site.trusted, request.model, workspace.champion)
        require_retrainable(request.model, champion, action)
        base = champion
        if champion is not None and action.base_version is not None:
            base = fetch_base(site.registry, site.trusted, champion, action.base_version, workspace.base)
        with open_catalogue(site.settings) as catalogue:
            return champion, gather(
                catalogue,
                request,
                action,
                workspace,
                say,
                champion=() if base is None else base.members,
                classes=None if champion is None else champion.manifest.classes,
            )

    def train_challenger(say: Say) -> BundleDraft:
        say("waiting for workers")
        plan = retraining_plan(champion, gathered, action, seed=seed_of(request.trigger_id))
        return train(executor.result(), plan, workspace, say)

    def judge(say: Say) -> Judgement:
        judgement = _judge(site, request, action, workspace, champion, gathered, draft, executor.result())
        say(judgement.verdict.sentence)
        return judgement

    champion, gathered = run_stage("gather", gather_data)
    material = _material(champion, gathered, action)
    draft = run_stage("train", train_challenger)
    judgement = run_stage("judge", judge)
    # An edge serves one model by name; any other is fetched from the registry by who applies it.
    settings = settings_for_model(site.settings, request.model)
    return publish(
        Publication(
            settings,
            site.registry,
            site.trusted,
            request.model,
            request.trigger_id,
            request.policy,
            workspace,
            request.requested_by,
        ),
        draft,
        judgement,
        run_stage,
        material=material,
        outbox=site.outbox,
        datasets=gathered.datasets,
        trained_from=None if champion is None else f"v{action.base_version or champion.manifest.version}",
        installing=request.model == settings.edge.model,
        gates=action.gates,
    )


def _judge(
    site: Site,
    request: RetrainRequest,
    action: RetrainAction,
    workspace: Workspace,
    champion: Champion | None,
    gathered: Gathered,
    draft: BundleDraft,
    workers: Executor,
) -> Judgement:
    if draft.engine != DEFAULT_ENGINE:
        return judge_by_merits(
            workers, action.recipe, draft, champion, workspace, action.gates, holdout=gathered.holdout
        )
    recent = _recent_frames(gathered, action)
    start = start_data(site.settings, request.model).holdout
    return judge_challenger(
        workers,
        ModelFiles.of_draft(draft),
        None if champion is None else ModelFiles.of_champion(champion),
        workspace,
        action.gates,
        # Nothing is known of the conditions of a first model but what it was trained on.
        start=start if champion is not None or start.exists() else recent,
        recent=recent,
    )


def _recent_frames(gathered: Gathered, action: RetrainAction) -> Path:
    for name, source in action.sources.items():
        if isinstance(source, FramesInput):
            return gathered.inputs[name].holdout[0]
    raise HeldError(
        f"the recipe {action.recipe!r} makes a model that finds atoms, and no input holds frames to judge by",
        safe="nothing was published.",
        next_step="declare an input of the kind 'frames' under [action.inputs] of the policy.",
    )


def _material(champion: Champion | None, gathered: Gathered, action: RetrainAction) -> str:
    found = action.material or gathered.material
    if champion is not None:
        return champion.manifest.material
    if found is None:
        raise HeldError(
            f"session {gathered.session} does not state its material, which a first model is named after",
            safe="nothing was trained.",
            next_step="say it with action.material in the policy.",
        )
    return found
