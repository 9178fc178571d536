"""Keeping a lease: saying that the holder is there, renewing, and noticing that it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from pydantic import ValidationError

from ._errors import EucentricError, LeaseError, TransportError
from ._lease import LEASE_RENEW_S, PRESENCE_S, LeaseGrant
from .transport import ControlClient

__all__ = ["LeaseHold"]

_RETRY_S = 0.25

_log = logging.getLogger(__name__)


class LeaseHold:
    """A lease that is kept alive by a thread of its own until `end`.

    Args:
        connection: used for nothing else, so that no call of the holder delays a sign of life.
        grant: what the agent granted.
        client: the holder's own label.
        notify: told what the agent has done meanwhile, such as blanking the beam of a silent holder.
    """

    def __init__(
        self, connection: ControlClient, grant: LeaseGrant, *, client: str, notify: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._grant = grant
        self._client = client
        self._notify = notify
        self._expires_s = time.monotonic() + grant.duration_s
        self._lost: EucentricError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
        self._thread.start()

    @property
    def epoch(self) -> int:
        """The fencing epoch that commands carry."""
        return self._grant.epoch

    @property
    def holder(self) -> str:
        """The holder's name as the agent knows it."""
        return self._grant.holder

    @property
    def remaining_s(self) -> float:
        """How long the lease lasts if the link dies now."""
        return max(0.0, self._expires_s - time.monotonic())

    @property
    def lost(self) -> EucentricError | None:
        """Why the lease is lost, if it is."""
        return self._lost

    def end(self) -> None:
        """Keep the lease no longer; it is released unless it is lost. Once is enough."""
        already = self._done.is_set()
        self._done.set()
        self._thread.join()
        if already or self._lost is not None:
            return
        try:
            self._connection.call("lease.release", {"client": self._client, "epoch": self.epoch})
        except LeaseError as error:
            # It was taken, or ran out, since the last sign of life.
            self._lost = error
        except EucentricError as error:
            # The work is done and the lease ends by itself; an error here would hide one of the body.
            _log.warning("lease not released, it expires within %g s: %s", self._grant.duration_s, error)

    def confirm(self) -> None:
        """Ask the agent whether the lease is still held, for `lost` to tell at once."""
        try:
            self._say("lease.present")
        except LeaseError as error:
            self._lost = error
        except EucentricError as error:
            _log.warning("it is unknown whether the lease is still held: %s", error)

    def _keep(self) -> None:
        renew_every_s = min(LEASE_RENEW_S, self._grant.duration_s / 3)
        present_every_s = min(PRESENCE_S, renew_every_s / 2)
        renew_at_s = time.monotonic() + renew_every_s
        wait_s = present_every_s
        while not self._done.wait(wait_s):
            asked_s = time.monotonic()
            renewing = asked_s >= renew_at_s
            wait_s = present_every_s
            try:
                self._say("lease.renew" if renewing else "lease.present")
                if renewing:
                    self._expires_s = asked_s + self._grant.duration_s
                    renew_at_s = asked_s + renew_every_s
            except LeaseError as error:
                self._lost = error
                return
            except EucentricError as error:
                _log.warning("the agent does not hear the holder of its lease: %s", error)
                wait_s = _RETRY_S
                renew_at_s = asked_s
                if self.remaining_s == 0:
                    self._lost = _expired(self._grant.duration_s)
                    return

    def _say(self, method: str) -> None:
        answer = self._connection.call(method, {"client": self._client, "epoch": self.epoch})
        try:
            grant = LeaseGrant.model_validate(answer)
        except ValidationError as error:
            raise TransportError(
                f"The agent's answer to {method} is no lease.",
                safe="the agent's watchdog guards beam and stage.",
                next_step="check that client and agent run compatible versions.",
            ) from error
        if grant.made_safe is not None:
            _log.warning("the agent made the instrument safe: %s", grant.made_safe)
            self._notify(grant.made_safe)


def _expired(duration_s: float) -> LeaseError:
    return LeaseError(
        f"The lease could not be renewed for {duration_s:g} s and is lost.",
        safe="the agent has put the instrument in its safe state.",
        next_step="check the link to the agent, read the state, and take the lease again.",
    )
