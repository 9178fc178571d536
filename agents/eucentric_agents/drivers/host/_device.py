"""The thread that opens, uses and closes the driver: many vendor interfaces answer no other."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from eucentric_core import BusyError

__all__ = ["DeviceThread"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class DeviceThread:
    """Runs one thing at a time, and refuses a second instead of queueing it.

    It is a daemon: a vendor call that never returns must not keep the process from ending.
    """

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()

    def begin(self, work: Callable[[], _T], what: str) -> Future[_T]:
        """Start `work`.

        Raises:
            BusyError: the device is at work; nothing was started.
        """
        if not self._taken.acquire(blocking=False):
            raise BusyError(
                f"The instrument is busy; {what} was not carried out.",
                safe="what is running goes on; nothing was queued behind it.",
                next_step="wait, or stop it: beam.blank, scan.abort and safe stop never wait.",
            )
        future: Future[_T] = Future()

        def carry_out() -> None:
            # The device is free before anybody can know the result: who has it may go on at once.
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  (handed to the caller)
                self._taken.release()
                future.set_exception(error)
            else:
                self._taken.release()
                future.set_result(result)

        self._work.put(carry_out)
        return future

    def run(self, work: Callable[[], _T], what: str) -> _T:
        """Run `work` and wait for its end; fails as `begin` does, or as the work."""
        return self.begin(work, what).result()

    def finish(self, work: Callable[[], None], *, within_s: float) -> None:
        """Run `work` as the last thing, if what is running ends in time.

        Raises:
            BusyError: the device was still at work.
            TimeoutError: `work` has not ended in time.
        """
        if not self._taken.acquire(timeout=within_s):
            raise BusyError(
                f"The device has not ended what it was doing within {within_s:g} s.",
                safe="unknown; blanking and halting were asked for before.",
                next_step="look at the instrument.",
            )
        self._taken.release()
        self.begin(work, "closing").result(timeout=within_s)
        self._work.put(None)

    def _run(self) -> None:
        while (carry_out := self._work.get()) is not None:
            carry_out()
