"""Being told to stop in good time: by the batch system, by whoever waits, or by a newer attempt.

A batch system that needs its node back sends SIGTERM and, some seconds later, SIGKILL (Slurm: `KillWait`,
30 s by default). Work that keeps checkpoints runs inside `stop_requests` and asks at every step; any other
work ends at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType

__all__ = [
    "HOLD_VARIABLE",
    "StopReason",
    "StopRequests",
    "TaskWatch",
    "end_when_told",
    "leave_dying_job",
    "stop_requests",
    "watched",
]

HOLD_VARIABLE = "EUCENTRIC_HOLD_DIR"
"""Environment variable: folder of the node where a worker says that it needs its grace."""

_LOOK_PERIOD_S = 0.5
_EXIT_CODE = 128 + signal.SIGTERM


class StopReason(StrEnum):
    """Why work must stop.

    Attributes:
        PREEMPTED: the worker is about to be killed; the work goes on elsewhere.
        CANCELLED: nobody waits for the result any more.
        SUPERSEDED: another attempt at the same task has begun; this one must write nothing more.
    """

    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class TaskWatch:
    """Files of the shared file system that tell a running task to stop.

    Attributes:
        cancelled: exists once nobody waits for the task's result.
        attempt: holds the token of the newest attempt.
        token: of this attempt.
    """

    cancelled: Path | None = None
    attempt: Path | None = None
    token: str = ""

    def reason(self) -> StopReason | None:
        """What the files say."""
        if self.cancelled is not None and self.cancelled.exists():
            return StopReason.CANCELLED
        if self.attempt is not None:
            try:
                newest = self.attempt.read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
            if newest != self.token:
                return StopReason.SUPERSEDED
        return None


_watches: ContextVar[tuple[TaskWatch, ...]] = ContextVar("watches", default=())


@contextmanager
def watched(watch: TaskWatch) -> Iterator[None]:
    """Let what runs inside be told to stop by these files, too."""
    token = _watches.set((*_watches.get(), watch))
    try:
        yield
    finally:
        _watches.reset(token)


class StopRequests:
    """What a piece of work has been told so far."""

    def __init__(self, watches: tuple[TaskWatch, ...]) -> None:
        self._watches = watches
        self._signalled = False
        self._looked_s = 0.0
        self._reason: StopReason | None = None

    def signal(self, _number: int, _frame: FrameType | None) -> None:
        """Note a SIGTERM."""
        self._signalled = True

    def reason(self) -> StopReason | None:
        """Why to stop, or None. Cheap enough for every step: files are looked at twice a second."""
        now = time.monotonic()
        if self._reason is None and self._watches and now - self._looked_s >= _LOOK_PERIOD_S:
            self._looked_s = now
            self._reason = next((reason for watch in self._watches if (reason := watch.reason())), None)
        return self._reason or (StopReason.PREEMPTED if self._signalled else None)

    def may_write(self) -> bool:
        """Whether this attempt is still the newest; looks at once."""
        self._looked_s = -_LOOK_PERIOD_S
        return self.reason() is not StopReason.SUPERSEDED


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Hold SIGTERM back for as long as the block runs; the block asks for it and leaves a checkpoint.

    Signals reach the main thread only: in any other thread, only the task's files tell it to stop.
    """
    requests = StopRequests(_watches.get())
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    previous = signal.signal(signal.SIGTERM, requests.signal)
    hold = _hold_file()
    try:
        yield requests
    finally:
        signal.signal(signal.SIGTERM, previous)
        if hold is not None:
            hold.unlink(missing_ok=True)


def end_when_told() -> None:
    """In a worker: end at once on SIGTERM, unless inside `stop_requests`."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def leave_dying_job() -> None:
    """In a worker of a job that was told to stop: end, and take no other task. Elsewhere nothing happens."""
    if os.environ.get(HOLD_VARIABLE):
        os._exit(_EXIT_CODE)


def _end(_number: int, _frame: FrameType | None) -> None:
    # No clean-up: whoever reads what this task writes expects it to be killed at any moment.
    os._exit(_EXIT_CODE)


def _hold_file() -> Path | None:
    folder = os.environ.get(HOLD_VARIABLE)
    if folder is None or not Path(folder).is_dir():
        return None
    path = Path(folder) / str(os.getpid())
    path.touch()
    return path
