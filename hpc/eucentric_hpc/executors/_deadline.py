"""An executor whose tasks are cancelled at a given time, for trainings that know no limit of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from ._compute import waiting_reason

__all__ = ["DeadlineExecutor", "until"]


class DeadlineExecutor(Executor):
    """Submits to another executor, which stays open, and cancels what it submitted once it has expired."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._futures: set[Future[Any]] = set()
        self._expired = False

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._expired

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `concurrent.futures.Executor.submit`; once expired, the future is cancelled at once."""
        future = self._executor.submit(fn, *args, **kwargs)
        with self._lock:
            self._futures.add(future)
            expired = self._expired
        future.add_done_callback(self._ended)
        if expired:
            future.cancel()
        return future

    def waiting(self) -> str | None:
        """See `waiting_reason`."""
        return waiting_reason(self._executor)

    def expire(self) -> None:
        """Cancel everything that has not ended."""
        with self._lock:
            self._expired = True
            outstanding = list(self._futures)
        for future in outstanding:
            future.cancel()

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self._futures.discard(future)


@contextmanager
def until(executor: Executor, timeout_s: float) -> Iterator[DeadlineExecutor]:
    """The executor for so many seconds; what was submitted and has not ended then is cancelled."""
    limited = DeadlineExecutor(executor)
    timer = threading.Timer(timeout_s, limited.expire)
    timer.daemon = True
    timer.start()
    try:
        yield limited
    finally:
        timer.cancel()
        timer.join()
