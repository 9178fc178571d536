"""The agent's connections to its driver host, and what it means when one of them is not answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType

from pydantic import JsonValue, ValidationError

from eucentric_core import (
    BusyError,
    CommandRefusedError,
    ErrorReport,
    EucentricError,
    InstrumentLostError,
    TransportError,
    error_from_report,
)
from eucentric_core.transport import PyroControlClient

__all__ = ["HostLines", "Line"]

_HOST = "127.0.0.1"
_OWN_STALL = 1.5
_CLOSED_WITHIN_S = 0.3

_Payload = dict[str, JsonValue]


class Line(Enum):
    """One connection each, so that what is urgent waits behind nothing.

    Calls on one connection follow one another. Anybody's blanking is urgent; the safe state waits behind
    none of it.
    """

    OPENING = "opening"
    STEERING = "steering"
    OBSERVING = "observing"
    URGENT = "urgent"
    SAFE = "safe"
    HEARTBEAT = "heartbeat"


_TIMEOUT_S: Mapping[Line, float] = MappingProxyType(
    {
        Line.OPENING: 300.0,
        Line.STEERING: 900.0,
        Line.OBSERVING: 5.0,
        Line.URGENT: 1.0,
        Line.SAFE: 1.0,
        Line.HEARTBEAT: 1.0,
    }
)

_VITAL = (Line.URGENT, Line.SAFE, Line.HEARTBEAT)
"""Lines on which no answer means that the host is lost."""


class HostLines:
    """Calls the methods of the present driver host. Any thread may call.

    Args:
        on_silence: called when a host does not answer; returns at once.
    """

    def __init__(self, on_silence: Callable[[], None]) -> None:
        self._on_silence = on_silence
        self._lock = threading.Lock()
        self._steering = threading.Lock()
        self._clients: dict[Line, PyroControlClient] = {}
        self._lost: str | None = "the driver host has not been started"
        self._refusal: str | None = None

    @property
    def lost(self) -> str | None:
        """Why there is no host to call; None if there is one."""
        return self._lost

    def connect(self, port: int, token: str) -> None:
        """Call this host from now on."""
        clients = {
            line: PyroControlClient(_HOST, port, timeout_s=timeout_s, token=token)
            for line, timeout_s in _TIMEOUT_S.items()
        }
        with self._lock:
            self._clients, self._lost = clients, None
            # What is stuck in a lost host must not keep the next one busy.
            self._steering = threading.Lock()

    def mark_lost(self, why: str) -> None:
        """Fail every call until the next host is connected."""
        with self._lock:
            self._lost = self._lost or why

    @property
    def refusal(self) -> str | None:
        """Why nothing may steer, whichever host there is; None if it may."""
        return self._refusal

    def refuse_steering(self, why: str) -> None:
        """Refuse what steers, and opening a session, until `allow_steering` takes it back."""
        self._refusal = why

    def allow_steering(self, why_not: str) -> None:
        """Take back a refusal, unless there has been another since."""
        if self._refusal == why_not:
            self._refusal = None

    def require_steerable(self, what: str) -> None:
        """Let `what` pass if the host may be steered.

        Raises:
            CommandRefusedError: it may not; says why.
        """
        if self._refusal is not None:
            raise CommandRefusedError(
                f"{what} was not carried out: {self._refusal}.",
                safe="nothing was changed; blanking and safe stop still work.",
                next_step="see the state of the agent, and the log of the driver.",
            )

    def close(self) -> None:
        """Close the connections. One that still waits for an answer is closed when the answer is there."""
        # A steering call may wait for minutes, and holds its connection meanwhile.
        closing = [
            threading.Thread(target=client.close, name="closing", daemon=True)
            for client in self._clients.values()
        ]
        for thread in closing:
            thread.start()
        deadline_s = time.monotonic() + _CLOSED_WITHIN_S
        for thread in closing:
            thread.join(timeout=max(0.0, deadline_s - time.monotonic()))

    def call(self, line: Line, method: str, payload: _Payload) -> _Payload:
        """Call a method of the host.

        Raises:
            InstrumentLostError: the host is lost, or has been lost on the way.
            TransportError: it did not answer in time; it is alive.
            BusyError: it has not answered the last call on the steering line.
            EucentricError: the driver's own error.
        """
        with self._lock:
            lost, client, steering = self._lost, self._clients.get(line), self._steering
        if lost is not None or client is None:
            raise _is_lost(f"{method} was not carried out: {lost}.")
        if line is not Line.STEERING:
            return self._ask(client, line, method, payload)
        if not steering.acquire(blocking=False):
            raise BusyError(
                f"The instrument is busy; {method} was not carried out.",
                safe="what is running goes on; nothing was queued behind it.",
                next_step="wait, or stop it: beam.blank, scan.abort and safe stop never wait.",
            )
        try:
            return self._ask(client, line, method, payload)
        finally:
            steering.release()

    def _ask(self, client: PyroControlClient, line: Line, method: str, payload: _Payload) -> _Payload:
        began_s = time.monotonic()
        try:
            answer = client.call(method, payload)
        except TransportError as error:
            waited_s = time.monotonic() - began_s
            if line in _VITAL and waited_s > _OWN_STALL * _TIMEOUT_S[line]:
                # It was this process that stood still; the answer may have come meanwhile.
                answer = self._again(client, line, method, payload)
            else:
                raise self._unanswered(client, line, method, waited_s) from error
        return _unpacked(method, answer)

    def _again(self, client: PyroControlClient, line: Line, method: str, payload: _Payload) -> _Payload:
        try:
            return client.call(method, payload)
        except TransportError as error:
            raise self._unanswered(client, line, method, _TIMEOUT_S[line]) from error

    def _unanswered(
        self, client: PyroControlClient, line: Line, method: str, waited_s: float
    ) -> EucentricError:
        with self._lock:
            # The host that did not answer may have been replaced since.
            if line in _VITAL and self._clients.get(line) is client:
                self._lost = (
                    self._lost or f"the driver host did not answer {method} within {_TIMEOUT_S[line]:g} s"
                )
        self._on_silence()
        if line is Line.OBSERVING and waited_s >= _TIMEOUT_S[line]:
            return TransportError(
                f"The driver did not answer {method} within {waited_s:.1f} s.",
                safe="nothing was changed; blanking and safe stop still work.",
                next_step="ask again; if it stays so, use safe stop and look at the instrument.",
            )
        return _is_lost(f"The driver host did not answer {method}.")


def _is_lost(what: str) -> InstrumentLostError:
    return InstrumentLostError(
        what,
        safe="a lost driver host is ended, and the one after it makes the instrument safe before all else.",
        next_step="wait until the agent is ready again, read the state, and open a new session.",
    )


def _unpacked(method: str, answer: _Payload) -> _Payload:
    if "error" in answer:
        try:
            report = ErrorReport.model_validate(answer["error"])
        except ValidationError as error:
            raise _is_lost(f"The driver host answered {method} with what is no error.") from error
        raise error_from_report(report)
    result = answer.get("ok")
    if not isinstance(result, dict):
        raise _is_lost(f"The driver host answered {method} with what is no result.")
    return result
