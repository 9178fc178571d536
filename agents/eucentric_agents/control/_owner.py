"""One thread owns the driver: many vendor interfaces answer only the thread that opened them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from eucentric_core import BusyError

__all__ = ["OwnerThread"]

_T = TypeVar("_T")

TURN_LIMIT_S = 5.0
_LOOK_S = 0.02


class OwnerThread:
    """Runs everything that touches the driver, one thing at a time.

    Steering is never queued: while one steering call runs, another is refused, and what only observes is
    told at once that it would have to wait.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="driver")
        self._steering = threading.Lock()

    def steer(self, work: Callable[[], _T], what: str) -> Future[_T]:
        """Start `work` on the owner thread.

        Raises:
            BusyError: another steering call is running; nothing was started.
        """
        if not self._steering.acquire(blocking=False):
            raise BusyError(
                f"The instrument is busy; {what} was not carried out.",
                safe="what is running goes on; nothing was queued behind it.",
                next_step="wait, or stop it: beam.blank, scan.abort and safe stop never wait.",
            )
        future = self._executor.submit(work)
        # The device stays taken until the work itself has ended, whether or not anyone still waits for it.
        future.add_done_callback(lambda _: self._steering.release())
        return future

    def in_turn(self, work: Callable[[], _T], what: str) -> _T:
        """Run `work` on the owner thread, waiting for its turn and its end for at most a few seconds.

        Raises:
            BusyError: its turn did not come, or it did not end.
        """
        future = self._executor.submit(work)
        if not wait([future], timeout=TURN_LIMIT_S).done:
            future.cancel()
            raise _busy(what)
        return future.result()

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Run `work` on the owner thread when its turn comes; see `between_steering`."""
        return self._executor.submit(work)

    def between_steering(self, reading: Future[_T], what: str, *, limit_s: float = TURN_LIMIT_S) -> _T:
        """Wait for work that was submitted, but not behind a steering call. Others may wait for it too.

        Raises:
            BusyError: a steering call is running, or the work did not end within the limit.
        """
        deadline_s = time.monotonic() + limit_s
        while not wait([reading], timeout=min(_LOOK_S, limit_s)).done:
            late = time.monotonic() > deadline_s
            # What has begun goes on in front of the steering call, and is worth the wait.
            if late or (self._steering.locked() and not reading.running()):
                raise _busy(what)
        return reading.result()

    def close(self) -> None:
        """Accept no more work. What runs is left to end: the driver is closed after this."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _busy(what: str) -> BusyError:
    return BusyError(
        f"The instrument is busy; {what} was not answered.",
        safe="nothing was changed.",
        next_step="ask again.",
    )
