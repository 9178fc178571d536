"""Waiting for a task: bounded, told to stop, patient with a service that is away for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eucentric_core import EucentricError, GlobusSettings

from .._mover import FarEndError
from ._failures import task_failure
from ._service import TaskReport, TransferService

__all__ = ["Patience", "TaskEnd", "wait_for_task"]

_GROWTH = 1.5
_UNREACHABLE = ("network", "service", "rate")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended. Of a failed one, the service's reason and the newest of its events."""

    report: TaskReport
    events: Sequence[dict[str, Any]] = ()


class Patience:
    """How long to sleep, and until when.

    Args:
        settings: bounds of the waits.
        stopping: ends every wait early.
    """

    def __init__(self, settings: GlobusSettings, stopping: threading.Event | None) -> None:
        self._min_s, self._max_s = settings.poll_min_s, settings.poll_max_s
        self._stopping = stopping or threading.Event()

    def require_running(self, doing: str) -> None:
        """Refuse to go on when this side stops.

        Raises:
            FarEndError: it does.
        """
        if self._stopping.is_set():
            raise FarEndError(
                f"Stopped while {doing}.",
                safe="the source is kept; a task that is under way at Globus goes on there.",
                next_step="nothing: it is taken up again after the next start.",
                reason="stopped",
            )

    def waits(self) -> Callable[[], None]:
        """A function that sleeps, longer each time."""
        wait_s = self._min_s

        def sleep() -> None:
            nonlocal wait_s
            self._stopping.wait(wait_s)
            wait_s = min(wait_s * _GROWTH, self._max_s)

        return sleep


def wait_for_task(
    service: TransferService, task_id: str, *, deadline_s: float, patience: Patience
) -> TaskEnd:
    """Follow a task to its end; what changes on the way is logged.

    Args:
        deadline_s: seconds from now after which it is cancelled.

    Raises:
        FarEndError: it was cancelled at its deadline, is suspended, this side stops, or Globus refuses us.
    """
    last = time.monotonic() + deadline_s
    sleep = patience.waits()
    seen: TaskReport | None = None
    away = False
    while True:
        patience.require_running(f"waiting for Globus task {task_id}")
        try:
            report = service.task(task_id)
            if away:
                _log.warning("Globus answers again; task %s is %s", task_id, report.status)
            away = False
        except FarEndError as error:
            if error.details.get("reason") not in _UNREACHABLE or time.monotonic() > last:
                raise
            if not away:
                _log.warning("task %s is waited for although Globus does not answer: %s", task_id, error.what)
            away = True
            sleep()
            continue
        if report.succeeded:
            return TaskEnd(report)
        if report.failed:
            return TaskEnd(report, _events(service, task_id))
        if report.suspended:
            raise task_failure(
                task_id,
                "NO_CREDENTIALS",
                "suspended",
                _events(service, task_id),
                what=f"Globus task {task_id} is suspended: its credentials are no longer valid.",
                safe="the source is kept; the task goes on after a new login.",
            )
        _tell(service, task_id, report, seen)
        seen = report
        if time.monotonic() > last:
            ended = _cancel(service, task_id, report, deadline_s)
            if ended is not None:
                return ended
        sleep()


def _tell(service: TransferService, task_id: str, report: TaskReport, seen: TaskReport | None) -> None:
    """Say what holds a task up, when it begins to."""
    if seen is None or (report.code, report.paused, report.faults) != (seen.code, seen.paused, seen.faults):
        if report.faults > (seen.faults if seen is not None else 0):
            newest = next((event for event in _events(service, task_id) if event["is_error"]), None)
            _log.warning("task %s has trouble: %s", task_id, newest or report.code)
        elif report.paused:
            _log.warning("task %s is paused by the administrator of a collection", task_id)
        else:
            _log.info("task %s: %s", task_id, report.code)


def _events(service: TransferService, task_id: str) -> list[dict[str, Any]]:
    """The events, for a report that must not fail because they cannot be had."""
    try:
        return service.events(task_id)
    except EucentricError as error:
        return [{"time": "", "code": "UNKNOWN", "is_error": False, "text": f"no events: {error.what}"}]


def _cancel(service: TransferService, task_id: str, report: TaskReport, deadline_s: float) -> TaskEnd | None:
    """End a task at its deadline. None: it had just ended by itself, and is looked at once more.

    Raises:
        FarEndError: it was cancelled.
    """
    events = _events(service, task_id)
    if service.cancel(task_id) == "TaskComplete":
        ended = service.task(task_id)
        return TaskEnd(ended, events) if ended.succeeded or ended.failed else None
    paused = ", paused by an administrator" if report.paused else ""
    raise task_failure(
        task_id,
        "EXPIRED",
        report.description,
        events,
        what=f"Globus task {task_id} was cancelled: it had not ended by its deadline "
        f"({report.code}{paused}, {report.bytes_moved} bytes moved).",
        safe="the source is kept; nothing appeared under the name, and it is tried again.",
    )
