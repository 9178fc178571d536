"""Waiting for tasks without keeping whoever waits in the dark."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any, TypeVar

from ._training_progress import TrainingProgress, read_progress
from .executors import waiting_reason

__all__ = ["Watch", "looking_at", "wait_watching"]

_LOOK_PERIOD_S = 2.0
_T = TypeVar("_T")

Watch = Callable[[tuple[TrainingProgress, ...], str | None], None]
"""Called every other second while something is waited for, and when it is done: with how far each training
is, and with what the work waits for, e.g. `queued in Slurm: Priority, 4 min` (None when it runs)."""


def looking_at(executor: Executor, folder: Path, watch: Watch | None) -> Callable[[], None]:
    """What `wait_watching` does between two waits: reads the progress that workers left in a folder."""

    def look() -> None:
        if watch is not None:
            watch(read_progress(folder), waiting_reason(executor))

    return look


def wait_watching(
    futures: Collection[Future[_T]], deadline_s: float, look: Callable[[], Any]
) -> tuple[set[Future[_T]], set[Future[_T]]]:
    """Wait until at least one is done, looking in between.

    Args:
        futures: at least one.
        deadline_s: on the monotonic clock.
        look: called in this thread, at most every other second and once when some are done, so that the last
            step of a training is seen too.

    Returns:
        Those that are done, none if the deadline came first, and the others.
    """
    while True:
        left_s = max(0.0, deadline_s - time.monotonic())
        done, pending = wait(futures, timeout=min(left_s, _LOOK_PERIOD_S), return_when="FIRST_COMPLETED")
        look()
        if done or left_s == 0:
            return done, pending
