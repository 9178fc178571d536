"""A thread that owns one connection to a vendor's interface, and how long to wait for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eucentric_core import BusyError, EucentricError, ServiceUnavailableError

from ._errors import VendorCallError

__all__ = ["Lane", "Wire"]

S = TypeVar("S")
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wire(Generic[S]):
    """How to reach a vendor's interface.

    Attributes:
        connect: opens a connection, on the thread that will use it.
        disconnect: releases it, on the same thread.
        explain: the typed error for what the vendor's code raised; with `ServiceUnavailableError` the
            connection is given up and the next call opens another one.
        recover: the first thing that is done on a connection that follows a lost one.
    """

    connect: Callable[[], S]
    disconnect: Callable[[S], None]
    explain: Callable[[Exception], EucentricError]
    recover: Callable[[S], None]


class Lane(Generic[S]):
    """Runs vendor calls one after another on a thread of its own. Any thread may ask.

    Many vendor interfaces answer only the thread that opened them, and any of them may hang: a caller
    waits for a bounded time, and while a call hangs further ones are refused at once.
    """

    def __init__(self, name: str, wire: Wire[S]) -> None:
        self._name = name
        self._wire = wire
        self._jobs: queue.SimpleQueue[tuple[Callable[[S], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._overdue_since_s: float | None = None
        self._lost = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"vendor-{name}", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[S], _T], *, limit_s: float) -> _T:
        """Run `work` on the lane's connection.

        Raises:
            BusyError: an earlier call hangs, or this one did not get its turn.
            VendorCallError: the call failed, or did not return within `limit_s`.
            ServiceUnavailableError: the vendor's server does not answer, or the lane is closed.
        """
        if self._closed:
            raise ServiceUnavailableError(
                f"The {self._name} lane is closed.",
                safe="nothing was sent.",
                next_step="open the instrument again.",
            )
        overdue_since_s = self._overdue_since_s
        if overdue_since_s is not None:
            waited_s = time.monotonic() - overdue_since_s
            raise BusyError(
                f"A call of the {self._name} lane is overdue by {waited_s:.1f} s.",
                safe="nothing was queued behind it.",
                next_step="wait for it, or restart the vendor's server.",
            )
        answer: Future[_T] = Future()
        self._jobs.put((work, answer))
        try:
            return answer.result(timeout=limit_s)
        except FutureTimeoutError:
            if answer.cancel():
                raise BusyError(
                    f"The {self._name} lane did not come to this call within {limit_s:g} s.",
                    safe="the call was not sent.",
                    next_step="try again.",
                ) from None
            self._overdue_since_s = time.monotonic()
            if answer.done():
                self._overdue_since_s = None
            raise VendorCallError(
                f"A vendor call of the {self._name} lane did not return within {limit_s:g} s.",
                safe="it may still take effect; nothing is queued behind it.",
                next_step="read the state of the instrument; restart the vendor's server if this lasts.",
            ) from None

    def close(self, *, limit_s: float) -> None:
        """Release the connection; a call that hangs is left behind."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout=limit_s)

    def _run(self) -> None:
        connection: S | None = None
        while (job := self._jobs.get()) is not None:
            work, answer = job
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                if connection is None:
                    connection = self._connect()
                answer.set_result(work(connection))
            except Exception as error:  # noqa: BLE001
                # What a vendor's library raises is not its interface: every caller gets a typed error.
                typed = error if isinstance(error, EucentricError) else self._wire.explain(error)
                if isinstance(typed, ServiceUnavailableError):
                    self._lost = True
                    self._release(connection)
                    connection = None
                typed.__cause__ = None if typed is error else error
                answer.set_exception(typed)
            self._overdue_since_s = None
        self._release(connection)

    def _release(self, connection: S | None) -> None:
        if connection is None:
            return
        try:
            self._wire.disconnect(connection)
        except Exception:  # noqa: BLE001
            # The connection is given up either way, and the lane must outlive it.
            _log.warning("a connection of the %s lane could not be closed", self._name, exc_info=True)

    def _connect(self) -> S:
        connection = self._wire.connect()
        if self._lost:
            try:
                self._wire.recover(connection)
            except BaseException:
                self._release(connection)
                raise
            self._lost = False
        return connection
