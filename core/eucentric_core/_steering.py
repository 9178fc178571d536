"""The typed client: steer an instrument from anywhere with the same verbs a driver has."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from ._errors import EucentricError, LeaseError
from ._instrument import Capabilities, InstrumentVerbs
from ._lease import LEASE_RENEW_S, CommandEnvelope, LeaseGrant, LeaseStatus
from .transport import ControlClient, PyroControlClient
from .vocabulary import BeamBlank, Command, CommandResult, ScanAbort

__all__ = ["SteeringClient", "connect"]

_log = logging.getLogger(__name__)


class SteeringClient(InstrumentVerbs):
    """An instrument seen through its agent.

    Observing needs nothing; steering needs the lease, taken by `with scope.control(reason=...)`.
    Safe stop and lease renewal use a connection of their own and never wait behind a command.

    Args:
        control: connection for commands.
        guard: second connection, for lease and safe stop.
        client: who is asking, for the audit log.
    """

    def __init__(self, control: ControlClient, guard: ControlClient, *, client: str) -> None:
        self._control = control
        self._guard = guard
        self._client = client
        self._epoch: int | None = None
        self._lost: EucentricError | None = None
        self.capabilities = Capabilities.model_validate(control.call("describe", {}))

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
            command=command,  # type: ignore[arg-type]  # every Command subclass is in the union
            client=self._client,
            idempotency_key=uuid4().hex,
            lease_epoch=self._epoch,
        )
        unqueued = isinstance(command, BeamBlank | ScanAbort)
        answer = (self._guard if unqueued else self._control).call("execute", envelope.model_dump(mode="json"))
        return command.result_type.model_validate(answer)

    def safe_stop(self) -> None:
        """Blank the beam, stop scanning and halt the stage, now. Anyone may; no lease is needed."""
        self._guard.call("safe_stop", {"client": self._client})

    def lease(self) -> LeaseStatus:
        """Who steers at present."""
        return LeaseStatus.model_validate(self._guard.call("lease.status", {}))

    @contextmanager
    def control(self, *, reason: str) -> Iterator[SteeringClient]:
        """Hold the lease, renewed in the background, and release it at the end.

        Raises:
            LeaseError: someone else holds it.
        """
        answer = self._guard.call("lease.request", {"client": self._client, "reason": reason})
        grant = LeaseGrant.model_validate(answer)
        self._epoch, self._lost = grant.epoch, None
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(grant, done), name="lease-renewer", daemon=True)
        renewer.start()
        try:
            yield self
        finally:
            done.set()
            renewer.join(timeout=LEASE_RENEW_S)
            self._epoch = None
            if self._lost is None:
                self._guard.call("lease.release", {"client": self._client, "epoch": grant.epoch})

    def _renew(self, grant: LeaseGrant, done: threading.Event) -> None:
        while not done.wait(LEASE_RENEW_S):
            try:
                self._guard.call("lease.renew", {"client": self._client, "epoch": grant.epoch})
            except LeaseError as error:
                self._lost = error
                return
            except EucentricError as error:
                # Not lost yet: the lease outlives a few missed renewals, and the agent decides.
                _log.warning("lease not renewed: %s", error)

    def close(self) -> None:
        """Close both connections."""
        self._control.close()
        self._guard.close()


def connect(host: str, control_port: int, *, client: str, timeout_s: float = 30.0) -> SteeringClient:
    """Connect to an agent.

    Raises:
        ServiceUnavailableError: nobody answers there.
    """
    return SteeringClient(
        PyroControlClient(host, control_port, timeout_s=timeout_s),
        PyroControlClient(host, control_port, timeout_s=5.0),
        client=client,
    )
