"""What crosses to a worker and back: a call, and how it ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eucentric_core import span

from .._stop_requests import StopReason, TaskWatch, end_when_told, leave_dying_job, watched
from .._training_errors import TrainingStoppedError

__all__ = ["Call", "Outcome", "run_call"]

_MAX_TRACE_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, found by name in the worker.

    Attributes:
        function: a top-level function.
        args: by position.
        kwargs: by name.
        cancelled: file that exists once nobody waits for the result.
        trace_id: of the loop that it is part of.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    cancelled: Path | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        value: what it returned.
        error: what it raised. As a value, or executors that know their own errors only would change its type.
        trace: where it was raised, bounded.
        preempted: it stopped because its worker is about to be killed.
    """

    value: Any = None
    error: BaseException | None = None
    trace: str = ""
    preempted: bool = False


def run_call(call: Call) -> Outcome:
    """Run a call in a worker.

    What it raises comes back as a value; what ends a process still ends it.
    """
    end_when_told()
    watch = TaskWatch(cancelled=call.cancelled)
    if watch.reason() is not None:
        return Outcome()
    try:
        name = f"task {call.function.__name__}"
        with watched(watch), span(name, call.trace_id):
            return Outcome(value=call.function(*call.args, **call.kwargs))
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever submitted the call
        trace = traceback.format_exc()[-_MAX_TRACE_CHARS:]
        preempted = isinstance(error, TrainingStoppedError) and error.reason == StopReason.PREEMPTED
        if preempted:
            # Whatever came back from here would be answered with this very task.
            leave_dying_job()
        return Outcome(error=error, trace=trace, preempted=preempted)
