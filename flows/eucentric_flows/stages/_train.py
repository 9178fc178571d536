"""Training the challenger on whatever executor the site has."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from typing import TYPE_CHECKING

from eucentric_core import write_atomic

from .._errors import HeldError
from ._plan import TrainingPlan
from ._workspace import Workspace

if TYPE_CHECKING:
    from eucentric_hpc.recipes import BundleDraft

__all__ = ["train"]

_SMALLEST_LABELLED = 8


def train(
    executor: Executor, plan: TrainingPlan, workspace: Workspace, say: Callable[[str], None]
) -> BundleDraft:
    """Train by a recipe, or go on where a killed run stopped.

    Raises:
        HeldError: there is too little to learn from: neither truth nor confident labels by the champion.
        TrainingInterruptedError: the time that the policy allows is over.
        TrainingError: the data were refused, or the training failed.
    """
    from eucentric_hpc import TrainingInterruptedError
    from eucentric_hpc.executors import until
    from eucentric_hpc.recipes import BundleDraft, recipe_named

    if workspace.trained.exists():
        return BundleDraft.model_validate_json(workspace.trained.read_bytes())
    _require_labels(plan)
    recipe = recipe_named(plan.recipe)
    for sentence in recipe.check(plan.data, plan.parameters).warnings:
        say(sentence)
    with until(executor, plan.timeout_s) as limited:
        try:
            draft = recipe.train(
                limited,
                plan.data,
                plan.parameters,
                workspace.training,
                progress=lambda note: say(note.sentence),
            )
        except CancelledError as error:
            if not limited.expired:
                raise
            raise TrainingInterruptedError(
                f"The recipe {plan.recipe!r} did not end within the policy's {plan.timeout_s:g} s.",
                safe="nothing was promoted; what its tasks have recorded is kept.",
                next_step="raise action.train_timeout_s if it needs longer, then resume the run.",
            ) from error
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
