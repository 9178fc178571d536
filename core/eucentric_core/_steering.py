"""The typed client: steer an instrument from anywhere with the same verbs a driver has."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

from pydantic import JsonValue, ValidationError

from ._errors import EucentricError, LeaseError, TransportError
from ._instrument import Capabilities, InstrumentVerbs
from ._lease import LEASE_RENEW_S, CommandEnvelope, LeaseGrant, LeaseStatus
from ._model import FrozenModel
from .transport import ControlClient, PyroControlClient
from .vocabulary import Command, CommandResult

__all__ = ["SteeringClient", "connect"]

_log = logging.getLogger(__name__)

_GUARD_TIMEOUT_S = 4.0
_RETRY_RENEWAL_S = 0.5

_Answer = TypeVar("_Answer", bound=FrozenModel)


class SteeringClient(InstrumentVerbs):
    """An instrument seen through its agent.

    Observing needs nothing; steering needs the lease, taken by `with scope.control(reason=...)`.
    Safe stop and lease renewal use a connection of their own and never wait behind a command; so does
    what only observes.

    Args:
        control: connection for commands.
        guard: second connection, for lease and safe stop.
        observer: third connection, for what only observes.
        client: who is asking, for the audit log.
    """

    def __init__(
        self, control: ControlClient, guard: ControlClient, observer: ControlClient, *, client: str
    ) -> None:
        self._control = control
        self._guard = guard
        self._observer = observer
        self._client = client
        self._epoch: int | None = None
        self._lost: EucentricError | None = None
        self.capabilities = _parse(Capabilities, control.call("describe", {}))

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command at the agent.

        Raises:
            LeaseError: the command steers and this client holds no lease, or has lost it.
            TransportError: no answer; it is unknown whether the command ran.
            EucentricError: the agent or the instrument refused or failed.
        """
        if self._lost is not None and command.command_class != "observe":
            raise self._lost
        envelope = CommandEnvelope(
            command=command,
            client=self._client,
            idempotency_key=uuid4().hex,
            lease_epoch=self._epoch,
        )
        if command.urgent:
            connection = self._guard
        else:
            connection = self._observer if command.command_class == "observe" else self._control
        return _parse(command.result_type, connection.call("execute", envelope.model_dump(mode="json")))

    def safe_stop(self) -> None:
        """Blank the beam, stop scanning and halt the stage, now. Anyone may; no lease is needed."""
        self._guard.call("safe_stop", {"client": self._client})

    def lease(self) -> LeaseStatus:
        """Who steers at present."""
        return _parse(LeaseStatus, self._guard.call("lease.status", {}))

    @contextmanager
    def control(self, *, reason: str) -> Iterator[SteeringClient]:
        """Hold the lease, renewed in the background, and release it at the end.

        Raises:
            LeaseError: someone else holds it; or, at the end, it was lost on the way and the instrument
                is in its safe state.
        """
        grant = _parse(
            LeaseGrant, self._guard.call("lease.request", {"client": self._client, "reason": reason})
        )
        self._epoch, self._lost = grant.epoch, None
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(grant, done), name="lease-renewer", daemon=True)
        renewer.start()
        try:
            yield self
        finally:
            done.set()
            renewer.join()
            self._epoch = None
            lost = self._lost
            if lost is None:
                self._release(grant)
        if lost is not None:
            raise lost

    def _release(self, grant: LeaseGrant) -> None:
        try:
            self._guard.call("lease.release", {"client": self._client, "epoch": grant.epoch})
        except EucentricError as error:
            # The work is done and the lease ends by itself; an error here would hide one of the body.
            _log.warning("lease not released, it expires within %g s: %s", grant.duration_s, error)

    def _renew(self, grant: LeaseGrant, done: threading.Event) -> None:
        expires = time.monotonic() + grant.duration_s
        renew_after_s = wait_s = min(LEASE_RENEW_S, grant.duration_s / 3)
        while not done.wait(wait_s):
            asked = time.monotonic()
            wait_s = _RETRY_RENEWAL_S
            try:
                self._guard.call("lease.renew", {"client": self._client, "epoch": grant.epoch})
                expires, wait_s = asked + grant.duration_s, renew_after_s
            except LeaseError as error:
                self._lost = error
                return
            except EucentricError as error:
                _log.warning("lease not renewed: %s", error)
                if time.monotonic() >= expires:
                    self._lost = LeaseError(
                        f"The lease could not be renewed for {grant.duration_s:g} s and is lost.",
                        safe="the agent has put the instrument in its safe state.",
                        next_step="check the link to the agent, read the state, and take the lease again.",
                    )
                    return

    def close(self) -> None:
        """Close all connections."""
        self._control.close()
        self._guard.close()
        self._observer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parse(kind: type[_Answer], answer: dict[str, JsonValue]) -> _Answer:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise TransportError(
            f"The agent's answer is no {kind.__name__}: {error.errors()[0]['msg'].lower()}.",
            safe="unknown whether the command ran; the agent's watchdog guards beam and stage.",
            next_step="check that client and agent run compatible versions.",
        ) from error


def connect(host: str, control_port: int, *, client: str, timeout_s: float = 30.0) -> SteeringClient:
    """Connect to an agent.

    Raises:
        ServiceUnavailableError: nobody answers there.
    """
    control = PyroControlClient(host, control_port, timeout_s=timeout_s)
    guard = PyroControlClient(host, control_port, timeout_s=_GUARD_TIMEOUT_S)
    observer = PyroControlClient(host, control_port, timeout_s=timeout_s)
    try:
        return SteeringClient(control, guard, observer, client=client)
    except EucentricError:
        control.close()
        raise
