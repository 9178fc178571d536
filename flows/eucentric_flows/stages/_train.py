"""Training the challenger on whatever executor the site has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import write_atomic

from .._errors import HeldError
from ..policy import RetrainAction
from ._blueprint import Blueprint, Champion
from ._workspace import StartData, Workspace

if TYPE_CHECKING:
    from pydantic import BaseModel

    from eucentric_hpc import MemberConfig
    from eucentric_hpc.recipes import BundleDraft, RecipeData

__all__ = ["TrainingPlan", "retraining_plan", "seed_of", "start_plan", "train"]

_SMALLEST_LABELLED = 8


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What is trained on what: a recipe by name, its data and its parameters."""

    recipe: str
    data: RecipeData
    parameters: BaseModel


def seed_of(trigger_id: str) -> int:
    """The seed of a run: another for every trigger, the same whenever it is resumed."""
    return int.from_bytes(hashlib.sha256(trigger_id.encode()).digest()[:7], "big")


def start_plan(
    blueprint: Blueprint,
    workspace: Workspace,
    data: StartData,
    *,
    members: int,
    member: MemberConfig,
    seed: int,
) -> TrainingPlan:
    """The first training of a model, on its start data alone."""
    return _plan("elit", blueprint, {"start": (data.training,)}, members=members, member=member, seed=seed)


def retraining_plan(
    champion: Champion, workspace: Workspace, data: StartData, action: RetrainAction, *, seed: int
) -> TrainingPlan:
    """A retraining: warm-started from the champion, on gathered frames and replayed start data."""
    from eucentric_hpc import DEMO_RETRAINING

    recipe = DEMO_RETRAINING.fitted_to(champion.blueprint.network, champion.blueprint.decoding)
    member = recipe.model_validate(
        {**recipe.model_dump(), "steps": action.steps, "learning_rate": action.learning_rate}
    )
    return _plan(
        action.recipe,
        champion.blueprint,
        {"start": (data.training,), "new": (workspace.recent,), "champion": champion.members},
        members=action.members,
        member=member,
        seed=seed,
        replay_frames=action.replay_frames,
        timeout_s=action.train_timeout_s,
    )


def _plan(
    recipe: str, blueprint: Blueprint, files: dict[str, tuple[Path, ...]], **more: object
) -> TrainingPlan:
    from eucentric_hpc.recipes import RecipeData, parameters_of, recipe_named

    parameters = parameters_of(
        recipe_named(recipe),
        {
            "network": blueprint.network,
            "classes": blueprint.classes,
            "preprocessing": blueprint.preprocessing,
            "decoding": blueprint.decoding,
            **more,
        },
    )
    return TrainingPlan(recipe, RecipeData(files=files), parameters)


def train(
    executor: Executor, plan: TrainingPlan, workspace: Workspace, say: Callable[[str], None]
) -> BundleDraft:
    """Train by a recipe, or go on where a killed run stopped.

    Raises:
        HeldError: there is too little to learn from: neither truth nor confident labels by the champion.
        TrainingError: the training failed.
    """
    from eucentric_hpc.recipes import BundleDraft, recipe_named

    if workspace.trained.exists():
        return BundleDraft.model_validate_json(workspace.trained.read_bytes())
    _require_labels(plan)
    recipe = recipe_named(plan.recipe)
    draft = recipe.train(
        executor,
        plan.data,
        plan.parameters,
        workspace.ensemble,
        progress=lambda note: say(note.sentence),
    )
    write_atomic(workspace.trained, draft.model_dump_json().encode())
    return draft


def _require_labels(plan: TrainingPlan) -> None:
    from eucentric_hpc import ElitParameters, pseudo_truth, read_training_set
    from eucentric_models import Calibration
    from eucentric_models.networks import Ensemble

    new_data, parameters = plan.data.optional("new"), plan.parameters
    if new_data is None or not isinstance(parameters, ElitParameters):
        return
    data = read_training_set(new_data)
    labelled = len(data.labelled)
    if labelled >= min(_SMALLEST_LABELLED, len(data)):
        return
    blobs = [path.read_bytes() for path in plan.data.many("champion")]
    champion = Ensemble(parameters.network, blobs, preprocessing=parameters.preprocessing)
    # Confidences are calibrated on conditions that the champion knows, and these are others: heights count.
    by_height = parameters.decoding.model_copy(update={"calibration": Calibration()})
    rule = parameters.pseudo_labelling
    for frame, truth, size_m in zip(data.frames, data.truths, data.pixel_sizes_m, strict=True):
        if truth is None and pseudo_truth(champion, frame, by_height, rule, pixel_size_m=size_m) is not None:
            labelled += 1
    if labelled < min(_SMALLEST_LABELLED, len(data)):
        raise HeldError(
            f"too few confident labels: the champion is sure of {labelled} of {len(data)} frames",
            safe="nothing was trained or promoted; the model in service keeps serving.",
            next_step="label some of these frames, or train with a simulation of the new conditions.",
            labelled=labelled,
            frames=len(data),
        )
