"""An answer that many pages share: asked for on a thread, again only when it is old and somebody looks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from eucentric_core import EucentricError

from ._watch import Reading

__all__ = ["SharedReading"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="shared-reading")
"""Apart from those of actions: whoever presses a button never queues behind a table."""


class SharedReading(Generic[_T]):
    """Looking never waits. Of one answer one question is under way at a time, however many look.

    Args:
        read: may block, for a bounded time; raises `EucentricError` where it gets no answer.
        fresh_s: for how long an answer need not be asked for again.
    """

    def __init__(self, read: Callable[[], _T], *, fresh_s: float) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._reading: Reading[_T] = Reading()
        self._asked_s: float | None = None
        self._asking = False
        self._again = False

    def look(self) -> Reading[_T]:
        """The last answer; has it asked for anew if it is old."""
        with self._lock:
            old = self._asked_s is None or time.monotonic() - self._asked_s > self._fresh_s
            if old and not self._asking:
                self._ask()
            return self._reading

    def forget(self) -> None:
        """Something was changed: what is being read may be from before, so it is read once more."""
        with self._lock:
            if self._asking:
                self._again = True
            else:
                self._ask()

    def _ask(self) -> None:
        self._asking = True
        _THREADS.submit(self._answer).add_done_callback(_tell)

    def _answer(self) -> None:
        before, now = self._reading, None
        try:
            now = Reading(self._read(), time.monotonic())
        except EucentricError as error:
            since_s = before.failing_since_s if before.error is not None else time.monotonic()
            now = Reading(before.value, before.read_s, error, since_s)
        finally:
            with self._lock:
                self._reading = before if now is None else now
                self._asked_s = time.monotonic()
                self._asking = False
                if self._again:
                    self._again = False
                    self._ask()


def _tell(done: Future[None]) -> None:
    if (error := done.exception()) is not None:
        _log.error("a reading failed unexpectedly", exc_info=error)
