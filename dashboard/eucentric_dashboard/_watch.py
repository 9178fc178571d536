"""Asking a service how it is, again and again, without ever waiting for it on the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from eucentric_core import (
    Capabilities,
    EucentricError,
    LeaseStatus,
    SteeringClient,
    TlsSettings,
    UnsupportedError,
    connect,
)
from eucentric_core.transport import PyroControlClient
from eucentric_core.vocabulary import InstrumentState

from ._another_version import another_version

__all__ = ["AgentReader", "AgentStatus", "EdgeReader", "Reading", "Watch"]

_PERIOD_S = 1.0
_TIMEOUT_S = 2.0
_INTERLOCKS_EVERY = 10
"""Questions; limits change seldom."""


_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[_T]):
    """The last answer of a service and whether it still answers. Times are monotonic seconds."""

    value: _T | None = None
    read_s: float | None = None
    error: EucentricError | None = None
    failing_since_s: float | None = None

    @property
    def online(self) -> bool:
        """Whether the last question was answered."""
        return self.value is not None and self.error is None


class Watch(Generic[_T]):
    """Calls `read` once a second on a thread of its own and keeps the outcome.

    Args:
        name: of the service, for the log.
        read: raises `EucentricError` when the service does not answer.
    """

    def __init__(self, name: str, read: Callable[[], _T]) -> None:
        self._name = name
        self._read = read
        self._reading: Reading[_T] = Reading()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    @property
    def reading(self) -> Reading[_T]:
        """The last outcome."""
        return self._reading

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; does not wait for the question under way."""
        self._closed.set()

    def join(self) -> None:
        """Wait for the question under way, which has a time-out of its own."""
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._ask()
            self._closed.wait(_PERIOD_S)

    def _ask(self) -> None:
        before = self._reading
        try:
            value = self._read()
        except EucentricError as error:
            since_s = before.failing_since_s if before.error is not None else time.monotonic()
            self._reading = Reading(before.value, before.read_s, error, since_s)
            if before.error is None:
                _log.warning("%s does not answer: %s", self._name, error.what)
            return
        self._reading = Reading(value, time.monotonic())
        if before.error is not None:
            _log.info("%s answers again", self._name)


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What the agent says about the instrument and who steers it.

    `dose_limit_e_per_a2` is the budget of one region and session; None where there is none.
    """

    capabilities: Capabilities
    state: InstrumentState
    lease: LeaseStatus
    dose_limit_e_per_a2: float | None = None


class AgentReader:
    """Reads an agent's state; connects anew after every failure, because a restarted agent may be another.

    Args:
        host: of the agent.
        control_port: of the agent.
        client: who reads.
        credentials: the dashboard's certificate, where the agent speaks mutual TLS.
    """

    def __init__(
        self, host: str, control_port: int, *, client: str, credentials: TlsSettings | None = None
    ) -> None:
        self._address = (host, control_port)
        self._client = client
        self._credentials = credentials
        self._steering: SteeringClient | None = None
        self._dose_limit: float | None = None
        self._asked = 0

    def __call__(self) -> AgentStatus:
        """Ask once.

        Raises:
            EucentricError: no answer, or one that this version does not understand.
        """
        try:
            if self._steering is None:
                self._steering = connect(
                    *self._address,
                    client=self._client,
                    timeout_s=_TIMEOUT_S,
                    credentials=self._credentials,
                )
                self._asked = 0
            if self._asked % _INTERLOCKS_EVERY == 0:
                self._dose_limit = _dose_limit(self._steering)
            self._asked += 1
            return AgentStatus(
                self._steering.capabilities, self._steering.state(), self._steering.lease(), self._dose_limit
            )
        except ValidationError as error:
            self.close()
            raise another_version(f"agent at {self._address[0]}:{self._address[1]}") from error
        except EucentricError:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        if self._steering is not None:
            self._steering.close()
            self._steering = None


class EdgeReader:
    """Asks the edge whether it is there, and returns its own word for its state."""

    def __init__(self, host: str, control_port: int, *, credentials: TlsSettings | None = None) -> None:
        self._control = PyroControlClient(host, control_port, timeout_s=_TIMEOUT_S, credentials=credentials)

    def __call__(self) -> str:
        """Ask once.

        Raises:
            EucentricError: no answer.
        """
        return str(self._control.call("ping", {}).get("state", "running"))

    def close(self) -> None:
        """Drop the connection."""
        self._control.close()


def _dose_limit(steering: SteeringClient) -> float | None:
    try:
        limits = steering.interlocks().get("limits")
    except UnsupportedError:
        return None
    dose = limits.get("dose") if isinstance(limits, dict) else None
    limit = dose.get("region_e_per_a2") if isinstance(dose, dict) else None
    return float(limit) if isinstance(limit, int | float) else None
