"""The executor that everything else sees: one behaviour over pools, batch systems and remote endpoints."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from eucentric_core import EucentricError, HpcSettings, current_trace_id

from ._errors import last_lines, worker_lost
from ._task import Call, Outcome, run_call

__all__ = ["Backend", "ComputeExecutor", "computing", "waiting_reason"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backend:
    """A third party's executor, and what differs between them.

    Attributes:
        submit: hands a function of one argument over; the future gives its result.
        lost: exceptions that mean that the worker died and the task may be tried again.
        broken: the error that says why the backend is of no more use, None while it is of use.
        waiting: says what tasks wait for, None when workers are there.
    """

    submit: Callable[[Callable[[Call], Outcome], Call], Future[Outcome]]
    lost: tuple[type[BaseException], ...]
    broken: Callable[[], EucentricError | None] = lambda: None
    waiting: Callable[[], str | None] = lambda: None


class ComputeExecutor(Executor):
    """A task whose worker was preempted or died is tried again; anything else it raises arrives as itself.

    `cancel` of a future works until its result is there: a task that has not begun does not begin, one that
    keeps checkpoints stops at the next step, any other runs on for nobody.

    Args:
        backend: what runs the tasks.
        retries: how often one task is tried again.
        run_dir: logs and marks, shared with the workers.
    """

    def __init__(self, backend: Backend, retries: int, run_dir: Path) -> None:
        self._backend = backend
        self._retries = retries
        self._run_dir = run_dir
        self._marks = run_dir / "cancelled"
        self._marks.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._outstanding: set[Future[Any]] = set()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `concurrent.futures.Executor.submit`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future: Future[Any] = Future()
            self._outstanding.add(future)
        mark = self._marks / secrets.token_hex(8)
        future.add_done_callback(lambda done: self._finished(done, mark))
        self._try(Call(fn, args, kwargs, mark, current_trace_id()), future, tries=1)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; workers go at the end of the context of `open_executor`."""
        with self._lock:
            self._closed = True
            outstanding = list(self._outstanding)
        if cancel_futures:
            for future in outstanding:
                future.cancel()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until no task is outstanding."""
        with self._lock:
            outstanding = list(self._outstanding)
        wait(outstanding)

    def waiting(self) -> str | None:
        """What tasks wait for, e.g. `queued in Slurm: Priority, 4 min`; None when workers are there."""
        return self._backend.waiting()

    def _try(self, call: Call, future: Future[Any], tries: int) -> None:
        if future.done():
            return
        try:
            inner = self._backend.submit(run_call, call)
        except self._backend.lost as error:
            broken = self._backend.broken()
            self._settle(future, broken or worker_lost(error, tries, last_lines(self._run_dir)))
            return
        except EucentricError as error:
            self._settle(future, error)
            return
        except BaseException:
            # Nobody would ever settle it.
            future.cancel()
            raise
        inner.add_done_callback(lambda done: self._arrived(done, call, future, tries))

    def _arrived(self, inner: Future[Outcome], call: Call, future: Future[Any], tries: int) -> None:
        if inner.cancelled():
            self._settle(future, worker_lost(RuntimeError("the executor was closed"), tries, ""))
            return
        error = inner.exception()
        if isinstance(error, self._backend.lost):
            self._lost(error, call, future, tries)
        elif error is not None:
            self._settle(future, error)
        elif (outcome := inner.result()).preempted and outcome.error is not None:
            self._lost(outcome.error, call, future, tries)
        elif outcome.error is not None:
            outcome.error.add_note(f"In the worker:\n{outcome.trace}")
            self._settle(future, outcome.error)
        else:
            with suppress(InvalidStateError):
                future.set_result(outcome.value)

    def _lost(self, error: BaseException, call: Call, future: Future[Any], tries: int) -> None:
        broken = self._backend.broken()
        if broken is not None:
            self._settle(future, broken)
            return
        if tries > self._retries or self._closed or future.done():
            self._settle(future, worker_lost(error, tries, last_lines(self._run_dir)))
            return
        _log.warning("a worker was lost (%s); the task is tried again, %d of %d", error, tries, self._retries)
        self._try(call, future, tries + 1)

    def _settle(self, future: Future[Any], error: BaseException) -> None:
        # It may have been cancelled a moment ago.
        with suppress(InvalidStateError):
            future.set_exception(error)

    def _finished(self, future: Future[Any], mark: Path) -> None:
        if future.cancelled():
            future.set_running_or_notify_cancel()
            mark.write_text(f"{time.time():.0f}\n")
        with self._lock:
            self._outstanding.discard(future)


@runtime_checkable
class _Waits(Protocol):
    """An executor that says what its tasks wait for."""

    def waiting(self) -> str | None: ...


def waiting_reason(executor: Executor) -> str | None:
    """What the tasks of an executor wait for; None when workers are there or it does not tell."""
    return executor.waiting() if isinstance(executor, _Waits) else None


@contextmanager
def computing(backend: Backend, settings: HpcSettings, run_dir: Path) -> Iterator[ComputeExecutor]:
    """An executor over a backend. At its end running tasks are awaited; after an exception they are not."""
    compute = ComputeExecutor(backend, settings.retries, run_dir)
    try:
        yield compute
        compute.wait()
    finally:
        compute.shutdown(wait=False)
