"""From frames, or from nothing, to a model in service: the stages in their order.

Plain functions: whoever carries a run out (Prefect, the bootstrap command) hands in how a stage is run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from eucentric_core import Settings, TrustedKeys
from eucentric_data_repository import open_catalogue
from eucentric_model_registry import Gates, Registry

from ._event_outbox import EventOutbox
from ._run_views import Outcome
from .policy import RetrainAction, RetrainRequest
from .stages import (
    Blueprint,
    Champion,
    Gathered,
    Judgement,
    ModelFiles,
    Publication,
    Workspace,
    fetch_champion,
    gather,
    install,
    judge_challenger,
    promote,
    record_lineage,
    register,
    retraining_plan,
    seed_of,
    sign,
    start_data,
    start_plan,
    train,
)

if TYPE_CHECKING:
    from eucentric_hpc import MemberConfig, TrainingSet
    from eucentric_hpc.recipes import BundleDraft
    from eucentric_models import StartConditions

__all__ = ["Ending", "RunStage", "Say", "Site", "bootstrap", "retrain"]

_T = TypeVar("_T")

_HOLDOUT_SHARE = 5

Say = Callable[[str], None]
"""Notes what a stage is doing or waiting for."""


class RunStage(Protocol):
    """Runs one named stage, records it, and returns what it returns."""

    def __call__(self, name: str, stage: Callable[[Say], _T], /) -> _T: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended that did not fail."""

    outcome: Outcome
    reason: str
    version: int


@dataclass(frozen=True, slots=True)
class Site:
    """What the stages work with on this machine."""

    settings: Settings
    trusted: TrustedKeys
    registry: Registry
    outbox: EventOutbox

    @classmethod
    def of(cls, settings: Settings, outbox: EventOutbox) -> Site:
        """The site that the settings describe.

        Raises:
            ConfigurationError: the trusted keys cannot be read.
        """
        trusted = TrustedKeys.read(settings.trusted_keys_path)
        return cls(settings, trusted, Registry(settings.hub.mlflow_url, trusted), outbox)


def retrain(
    site: Site,
    request: RetrainRequest,
    action: RetrainAction,
    executor: Future[Executor],
    run_stage: RunStage,
) -> Ending:
    """Retrain a model on new frames and put the result in service if it is better.

    Raises:
        HeldError: there is too little to learn from.
        EucentricError: a stage failed; a repeated call goes on where this one stopped.
    """
    workspace = Workspace.of(site.settings, request.model, request.trigger_id)
    data = start_data(site.settings, request.model)

    def gather_frames(say: Say) -> tuple[Champion, Gathered]:
        champion = fetch_champion(site.registry, site.trusted, request.model, workspace.champion)
        with open_catalogue(site.settings) as catalogue:
            return champion, gather(catalogue, request, action, champion.blueprint.classes, workspace, say)

    def train_challenger(say: Say) -> BundleDraft:
        say("waiting for workers")
        workers = executor.result()
        plan = retraining_plan(champion, workspace, data, action, seed=seed_of(request.trigger_id))
        return train(workers, plan, workspace, say)

    def judge(say: Say) -> Judgement:
        judgement = judge_challenger(
            executor.result(),
            ModelFiles.of(champion.blueprint, draft.weights),
            ModelFiles.of(champion.blueprint, champion.members),
            workspace,
            action.gates,
            start=data.holdout,
            recent=workspace.holdout,
        )
        say(judgement.verdict.sentence)
        return judgement

    champion, gathered = run_stage("gather", gather_frames)
    draft = run_stage("train", train_challenger)
    judgement = run_stage("judge", judge)
    return _publish(
        Publication(
            site.settings,
            site.registry,
            site.trusted,
            request.model,
            request.trigger_id,
            request.policy,
            workspace,
        ),
        champion.blueprint,
        draft,
        judgement,
        run_stage,
        outbox=site.outbox,
        datasets=gathered.datasets,
        trained_from=f"v{champion.manifest.version}",
        installing=True,
    )


def bootstrap(
    site: Site,
    model: str,
    conditions: StartConditions,
    member: MemberConfig,
    *,
    trigger_id: str,
    members: int,
    installing: bool,
    executor: Future[Executor],
    run_stage: RunStage,
) -> Ending:
    """Train a model's first champion on simulated start data and publish it.

    Raises:
        EucentricError: a stage failed; a repeated call goes on where this one stopped.
    """
    workspace = Workspace.of(site.settings, model, trigger_id)
    data = start_data(site.settings, model)
    blueprint = Blueprint.of_conditions(conditions)
    seed = seed_of(trigger_id)

    def simulate(say: Say) -> None:
        import numpy as np

        from eucentric_hpc import simulated_start_data, write_training_set

        if data.training.exists() and data.holdout.exists():
            return
        frames: TrainingSet = simulated_start_data(conditions, np.random.default_rng(seed))
        split = len(frames) - len(frames) // _HOLDOUT_SHARE
        write_training_set(data.holdout, frames.subset(range(split, len(frames))))
        write_training_set(data.training, frames.subset(range(split)))
        say(f"{len(frames)} frames of {conditions.material}, SIMULATED")

    def train_first(say: Say) -> BundleDraft:
        say("waiting for workers")
        workers = executor.result()
        plan = start_plan(blueprint, workspace, data, members=members, member=member, seed=seed)
        return train(workers, plan, workspace, say)

    def judge(say: Say) -> Judgement:
        # There are no recent frames yet: the start hold-out stands for them.
        judgement = judge_challenger(
            executor.result(),
            ModelFiles.of(blueprint, draft.weights),
            None,
            workspace,
            Gates(),
            start=data.holdout,
            recent=data.holdout,
        )
        say(judgement.verdict.sentence)
        return judgement

    run_stage("simulate", simulate)
    draft = run_stage("train", train_first)
    judgement = run_stage("judge", judge)
    return _publish(
        Publication(site.settings, site.registry, site.trusted, model, trigger_id, None, workspace),
        blueprint,
        draft,
        judgement,
        run_stage,
        outbox=site.outbox,
        datasets=(),
        trained_from=None,
        installing=installing,
    )


def _publish(
    publication: Publication,
    blueprint: Blueprint,
    draft: BundleDraft,
    judgement: Judgement,
    run_stage: RunStage,
    *,
    outbox: EventOutbox,
    datasets: tuple[str, ...],
    trained_from: str | None,
    installing: bool,
) -> Ending:
    verdict = judgement.verdict
    run_stage(
        "sign",
        lambda _: sign(
            publication, blueprint, draft, judgement, datasets=datasets, trained_from=trained_from
        ),
    )
    version = run_stage("register", lambda _: register(publication))
    record_lineage(publication, version.version)
    if not verdict.accepted:
        return Ending("rejected", verdict.sentence, version.version)
    run_stage("promote", lambda _: promote(publication, version, verdict.sentence, outbox))
    if installing:
        folder = publication.workspace.bundle
        run_stage("install", lambda say: install(publication.settings, folder, version.version, say))
        record_lineage(publication, version.version, edge=publication.settings.edge.name)
    return Ending("promoted", verdict.sentence, version.version)
