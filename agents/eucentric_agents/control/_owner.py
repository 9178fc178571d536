"""One thread owns the driver: many vendor interfaces answer only the thread that opened them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from eucentric_core import BusyError

__all__ = ["OwnerThread"]

_T = TypeVar("_T")

TURN_LIMIT_S = 5.0


class OwnerThread:
    """Runs everything that touches the driver, one thing at a time.

    Steering is never queued: while one steering call runs, another is refused. What only observes waits
    a few seconds for its turn.
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
        """Run `work` on the owner thread, waiting for its turn for at most a few seconds.

        Raises:
            BusyError: its turn did not come.
        """
        future = self._executor.submit(work)
        try:
            return future.result(timeout=TURN_LIMIT_S)
        except FutureTimeoutError:
            future.cancel()
            raise BusyError(
                f"The instrument is busy; {what} was not answered within {TURN_LIMIT_S:g} s.",
                safe="nothing was changed.",
                next_step="ask again.",
            ) from None

    def close(self) -> None:
        """Accept no more work. What runs is left to end: the driver is closed after this."""
        self._executor.shutdown(wait=False, cancel_futures=True)
