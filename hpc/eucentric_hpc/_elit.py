"""Ensemble learning with iterative training (ELIT) on any executor.

After Ghosh et al., npj Comput. Mater. 7, 100 (2021): several networks that differ in initial weights and
shuffling, artefact-free members kept, retrained on data of the new experimental conditions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from statistics import median
from typing import Any

from eucentric_core import EucentricError
from eucentric_models import Decoding, DriftReference

from ._elit_models import AssembledData, EnsembleRequest, EnsembleResult, GoldenFiles, MemberOutcome
from ._elit_tasks import PROGRESS_FOLDER, assemble_task, finish_task, member_checkpoint, member_task
from ._result_store import submit_once
from ._training_errors import TrainingDivergedError, TrainingInterruptedError
from ._watching import Watch, looking_at, wait_watching

_log = logging.getLogger(__name__)

StageProgress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, of)``; stages are ``assemble``, ``members`` and ``finish``."""


def train_ensemble(
    executor: Executor,
    request: EnsembleRequest,
    *,
    progress: StageProgress | None = None,
    watch: Watch | None = None,
) -> EnsembleResult:
    """Train, select and measure an ensemble.

    A member that fails does not stop the others; calling again with the same request resumes what was
    interrupted.

    Args:
        executor: where the work runs; it stays open.
        request: what to train on what.
        progress: called when a stage or a member is done.
        watch: called every other second in between, and when a task is done.

    Raises:
        TrainingInterruptedError: ``request.timeout_s`` passed; work not yet started was cancelled.
        TrainingDivergedError: fewer members than ``request.smallest_ensemble`` finished.
        EucentricError: assembling or finishing failed; see their tasks.
    """
    deadline = time.monotonic() + request.timeout_s
    seconds: dict[str, float] = {}
    plain = request.model_dump(mode="json")
    report = progress or _no_progress
    look = looking_at(executor, request.work_dir / PROGRESS_FOLDER, watch)

    started = time.monotonic()
    tasks = request.work_dir / "tasks"
    data_json = _result(submit_once(executor, tasks, "assemble", assemble_task, plain), deadline, look)
    data = AssembledData.model_validate(data_json)
    seconds["assemble"] = time.monotonic() - started
    report("assemble", 1, 1)

    started = time.monotonic()
    futures = [
        submit_once(executor, tasks, f"member-{index}", member_task, plain, data_json, index)
        for index in range(request.members)
    ]
    members = _finished_members(futures, deadline, request, report, look)
    selected = select_members([member.f1 for member in members], request.selection_margin)
    kept = [members[position] for position in selected]
    seconds["members"] = time.monotonic() - started

    started = time.monotonic()
    weights = [str(member.weights) for member in kept]
    finish = submit_once(executor, tasks, "finish", finish_task, plain, data_json, weights)
    finished = _result(finish, deadline, look)
    seconds["finish"] = time.monotonic() - started
    report("finish", 1, 1)
    for member in members:
        # Its result is recorded by now; until then the last checkpoint saves it from being repeated.
        member_checkpoint(request.work_dir, member.index).unlink(missing_ok=True)
    return EnsembleResult(
        members=tuple(members),
        selected=tuple(member.index for member in kept),
        weights=tuple(member.weights for member in kept),
        metrics=finished["metrics"],
        warnings=tuple(finished["warnings"]),
        decoding=Decoding.model_validate(finished["decoding"]),
        drift_reference=DriftReference.model_validate(finished["drift_reference"]),
        golden=tuple(GoldenFiles.model_validate(files) for files in finished["golden"]),
        data=data,
        seconds=seconds,
    )


def select_members(f1: Sequence[float], margin: float) -> tuple[int, ...]:
    """Positions of the members that are not far below the median; the best is always among them."""
    middle = median(f1)
    return tuple(position for position, value in enumerate(f1) if value >= middle - margin)


def _finished_members(
    futures: Sequence[Future[dict[str, Any]]],
    deadline: float,
    request: EnsembleRequest,
    report: StageProgress,
    look: Callable[[], None],
) -> list[MemberOutcome]:
    pending = set(futures)
    while pending:
        done, pending = wait_watching(pending, deadline, look)
        if not done:
            for future in pending:
                future.cancel()
            raise _too_late(request.timeout_s)
        report("members", len(futures) - len(pending), len(futures))
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        _log.warning("a member was not trained: %s", error)
    members = [
        MemberOutcome.model_validate(future.result()) for future in futures if future.exception() is None
    ]
    if interrupted := [error for error in errors if isinstance(error, TrainingInterruptedError)]:
        raise interrupted[0]
    if len(members) < request.smallest_ensemble:
        raise TrainingDivergedError(
            f"Only {len(members)} of {len(futures)} members were trained, because: {errors[0]}",
            safe="the model in production is unchanged.",
            next_step="read the log of the failed members, then submit the same training again.",
        ) from errors[0]
    return members


def _result(future: Future[dict[str, Any]], deadline: float, look: Callable[[], None]) -> dict[str, Any]:
    budget_s = max(0.0, deadline - time.monotonic())
    if not wait_watching([future], deadline, look)[0]:
        future.cancel()
        raise _too_late(budget_s)
    return future.result()


def _too_late(timeout_s: float) -> EucentricError:
    return TrainingInterruptedError(
        f"The ensemble was not trained within its remaining {timeout_s:.0f} s.",
        safe="work not yet started was cancelled; checkpoints of running members are kept.",
        next_step="submit the same training again; it resumes.",
    )


def _no_progress(stage: str, done: int, of: int) -> None:
    _log.debug("%s %d/%d", stage, done, of)
