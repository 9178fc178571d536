"""Waiting, for a bounded time and with a visible reason, for the frames that a retraining wants."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric_core import Frame, FrozenModel, write_atomic
from eucentric_data_repository import Catalogue, ShardEntry

from .._errors import HeldError, NotEnoughFramesError
from ..policy import RetrainAction, RetrainRequest
from ._workspace import Workspace

__all__ = ["FRAME_STREAM", "Gathered", "gather"]

FRAME_STREAM, TRUTH_STREAM = "haadf", "truth"

_HOLDOUT_SHARE = 4
_POLL_S = 0.5


class Gathered(FrozenModel):
    """What was gathered. The newest quarter of the frames is held out."""

    session: str
    datasets: tuple[str, ...]
    first_sequence: int
    last_sequence: int
    training_frames: Annotated[int, Field(ge=1)]
    holdout_frames: Annotated[int, Field(ge=1)]
    labelled_frames: int


def gather(
    catalogue: Catalogue,
    request: RetrainRequest,
    action: RetrainAction,
    classes: tuple[str, ...],
    workspace: Workspace,
    say: Callable[[str], None],
) -> Gathered:
    """Wait for the wanted frames, and write the newest of them as training set and hold-out.

    Frames are labelled if the data hold a truth for them (simulated instruments, imported labels).

    Args:
        catalogue: where frames are registered.
        request: which frames.
        action: how many, and how long to wait.
        classes: the network's classes; a labelled atom of any other class is left out of the loss.
        workspace: where the sets go; one that is complete is not gathered again.
        say: told what is being waited for.

    Raises:
        NotEnoughFramesError: they were not registered in time.
    """
    if workspace.gathered.exists():
        return Gathered.model_validate_json(workspace.gathered.read_bytes())
    from eucentric_hpc import TrainingSet, write_training_set

    session, first = _session(catalogue, request), request.sequence_wanted
    _wait_for_frames(catalogue, session, first, action, say)
    frames = list(deque(catalogue.frames(session, FRAME_STREAM, from_sequence=first), maxlen=action.frames))
    oldest = frames[0].header.sequence
    truths = {
        truth.header.sequence: _rows(truth, classes)
        for truth in catalogue.frames(session, TRUTH_STREAM, from_sequence=oldest)
    }
    data = TrainingSet(
        tuple(np.array(frame.array) for frame in frames),
        tuple(truths.get(frame.header.sequence) for frame in frames),
        tuple(frame.header.pixel_size_m for frame in frames),
    )
    held_out = len(data) // _HOLDOUT_SHARE
    split = len(data) - held_out
    write_training_set(workspace.recent, data.subset(range(split)))
    write_training_set(workspace.holdout, data.subset(range(split, len(data))))
    gathered = Gathered(
        session=session,
        datasets=tuple(sorted({f"{frame.header.instrument}.{frame.header.session}" for frame in frames})),
        first_sequence=oldest,
        last_sequence=frames[-1].header.sequence,
        training_frames=split,
        holdout_frames=held_out,
        labelled_frames=len(data.labelled),
    )
    write_atomic(workspace.gathered, gathered.model_dump_json().encode())
    return gathered


def _session(catalogue: Catalogue, request: RetrainRequest) -> str:
    if request.session_wanted is not None:
        return request.session_wanted
    for entry in catalogue.datasets():
        if entry.dataset_id == request.dataset_wanted:
            return entry.session
    raise HeldError(
        f"data set {request.dataset_wanted} is not in the catalogue",
        safe="nothing was trained.",
        next_step="check the name with `eucentric repository ls`.",
    )


def _wait_for_frames(
    catalogue: Catalogue,
    session: str,
    first: int,
    action: RetrainAction,
    say: Callable[[str], None],
) -> None:
    deadline = time.monotonic() + action.gather_timeout_s
    before = -1
    while (
        registered := _registered(catalogue.shards(session=session, from_sequence=first), first)
    ) < action.frames:
        state = f"{registered} of {action.frames} frames of session {session} from {first} on are registered"
        if time.monotonic() > deadline:
            raise NotEnoughFramesError(
                f"After {action.gather_timeout_s:g} s only {state}.",
                safe="nothing was trained; the model in service keeps serving.",
                next_step="see whether the agent ships and the repository registers, then resume the run.",
                registered=registered,
                wanted=action.frames,
            )
        if registered != before:
            say(state)
            before = registered
        time.sleep(_POLL_S)


def _registered(shards: Sequence[ShardEntry], first: int) -> int:
    count = 0
    for shard in (entry.shard for entry in shards):
        # A shard may hold earlier frames as well, and numbers may be missing in it.
        count += min(shard.frames, shard.last_sequence - max(shard.first_sequence, first) + 1)
    return count


def _rows(truth: Frame, classes: tuple[str, ...]) -> np.ndarray:
    """Rows `y_px, x_px, class_id` with the ids of the network's classes."""
    rows = np.array(truth.array, dtype=np.float32).reshape(-1, 3)
    if truth.header.classes:
        ids = [classes.index(name) if name in classes else len(classes) for name in truth.header.classes]
        rows[:, 2] = np.asarray(ids, dtype=np.float32)[rows[:, 2].astype(int)]
    return rows
