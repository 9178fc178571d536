"""Training the challenger on whatever executor the site has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import write_atomic

from .._errors import HeldError
from ..policy import RetrainAction
from ._blueprint import Blueprint, Champion
from ._workspace import StartData, Workspace

if TYPE_CHECKING:
    from eucentric_hpc import EnsembleRequest, EnsembleResult, MemberConfig

__all__ = ["retraining_request", "seed_of", "start_request", "train"]

_SMALLEST_LABELLED = 8


def seed_of(trigger_id: str) -> int:
    """The seed of a run: another for every trigger, the same whenever it is resumed."""
    return int.from_bytes(hashlib.sha256(trigger_id.encode()).digest()[:7], "big")


def start_request(
    blueprint: Blueprint,
    workspace: Workspace,
    data: StartData,
    *,
    members: int,
    member: MemberConfig,
    seed: int,
) -> EnsembleRequest:
    """The first training of a model, on its start data alone."""
    return _request(blueprint, workspace, data, members=members, member=member, seed=seed)


def retraining_request(
    champion: Champion, workspace: Workspace, data: StartData, action: RetrainAction, *, seed: int
) -> EnsembleRequest:
    """A retraining: warm-started from the champion, on gathered frames and replayed start data."""
    from eucentric_hpc import DEMO_RETRAINING

    recipe = DEMO_RETRAINING.fitted_to(champion.blueprint.network, champion.blueprint.decoding)
    member = recipe.model_validate(
        {**recipe.model_dump(), "steps": action.steps, "learning_rate": action.learning_rate}
    )
    return _request(
        champion.blueprint,
        workspace,
        data,
        members=action.members,
        member=member,
        seed=seed,
        new_data=workspace.recent,
        champion=champion.members,
        replay_frames=action.replay_frames,
        timeout_s=action.train_timeout_s,
    )


def _request(blueprint: Blueprint, workspace: Workspace, data: StartData, **more: object) -> EnsembleRequest:
    from eucentric_hpc import EnsembleRequest

    return EnsembleRequest.model_validate(
        {
            "work_dir": workspace.ensemble,
            "network": blueprint.network,
            "classes": blueprint.classes,
            "start_data": data.training,
            "preprocessing": blueprint.preprocessing,
            "decoding": blueprint.decoding,
            **more,
        }
    )


def train(
    executor: Executor, request: EnsembleRequest, workspace: Workspace, say: Callable[[str], None]
) -> EnsembleResult:
    """Train an ensemble, or go on where a killed run stopped.

    Raises:
        HeldError: there is too little to learn from: neither truth nor confident labels by the champion.
        TrainingError: the training failed.
    """
    from eucentric_hpc import EnsembleResult, train_ensemble

    if workspace.trained.exists():
        return EnsembleResult.model_validate_json(workspace.trained.read_bytes())
    if request.new_data is not None:
        _require_labels(request, request.new_data)

    def progress(stage: str, done: int, of: int) -> None:
        say(f"{stage}: {done} of {of}")

    result = train_ensemble(executor, request, progress=progress)
    write_atomic(workspace.trained, result.model_dump_json().encode())
    return result


def _require_labels(request: EnsembleRequest, new_data: Path) -> None:
    from eucentric_hpc import pseudo_truth, read_training_set
    from eucentric_models.networks import Ensemble

    data = read_training_set(new_data)
    labelled = len(data.labelled)
    if labelled >= min(_SMALLEST_LABELLED, len(data)):
        return
    blobs = [path.read_bytes() for path in request.champion]
    champion = Ensemble(request.network, blobs, preprocessing=request.preprocessing)
    for frame, truth in zip(data.frames, data.truths, strict=True):
        if (
            truth is None
            and pseudo_truth(champion, frame, request.decoding, request.pseudo_labelling) is not None
        ):
            labelled += 1
    if labelled < min(_SMALLEST_LABELLED, len(data)):
        raise HeldError(
            f"too few confident labels: the champion is sure of {labelled} of {len(data)} frames",
            safe="nothing was trained or promoted; the model in service keeps serving.",
            next_step="label some of these frames, or train with a simulation of the new conditions.",
            labelled=labelled,
            frames=len(data),
        )
