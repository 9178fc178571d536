"""A model's first champion, from simulated start data: the stages in their order."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from eucentric_core import settings_for_model
from eucentric_model_registry import Gates

from ._pipeline import Ending, RunStage, Say, Site, publish
from .stages import (
    Blueprint,
    Judgement,
    ModelFiles,
    Publication,
    Workspace,
    judge_challenger,
    seed_of,
    start_data,
    start_plan,
    train,
)

if TYPE_CHECKING:
    from eucentric_hpc import MemberConfig, TrainingSet
    from eucentric_hpc.recipes import BundleDraft
    from eucentric_models import StartConditions

__all__ = ["bootstrap"]

_HOLDOUT_SHARE = 5


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
        plan = start_plan(blueprint, data, members=members, member=member, seed=seed)
        return train(workers, plan, workspace, say)

    def judge(say: Say) -> Judgement:
        # There are no recent frames yet: the start hold-out stands for them.
        judgement = judge_challenger(
            executor.result(),
            ModelFiles.of_draft(draft),
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
    return publish(
        Publication(
            settings_for_model(site.settings, model),
            site.registry,
            site.trusted,
            model,
            trigger_id,
            None,
            workspace,
        ),
        draft,
        judgement,
        run_stage,
        material=blueprint.material,
        outbox=site.outbox,
        datasets=(),
        trained_from=None,
        installing=installing,
    )
