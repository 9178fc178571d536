"""Asking for the lease, keeping it, passing it on and taking it, with every step on record."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from eucentric_core import LeaseGrant, LeaseStatus, NotAuthorisedError

from ._identity import Identity
from ._lease import LeaseKeeper
from ._notes import Notes
from ._safe_state import Reached, SafeState

__all__ = ["LeaseDesk"]


class LeaseDesk:
    """What clients do with the lease. Any thread may call.

    Args:
        lease: who steers.
        safe_state: reached before the lease is taken from somebody.
        notes: the audit log.
        lease_over: tells others that a lease has ended without being released.
    """

    def __init__(
        self,
        lease: LeaseKeeper,
        safe_state: SafeState,
        notes: Notes,
        lease_over: Callable[[str, int, Reached], None],
    ) -> None:
        self._lease = lease
        self._safe_state = safe_state
        self._notes = notes
        self._lease_over = lease_over

    def request(self, who: Identity, reason: str, *, take_over: bool) -> LeaseGrant:
        """Grant the lease, if need be by taking it from its holder once the instrument is safe.

        Raises:
            NotAuthorisedError: the holder's role is not below that of `who`.
            LeaseError: somebody else holds it, or has just lost it.
            BusyError: a command under an older lease is still at the driver.
            EucentricError: the instrument could not be made safe; nobody has the lease.
        """
        wish: dict[str, JsonValue] = {"reason": reason}
        try:
            displaced = self._lease.displace(who, reason, insist=take_over)
            if displaced is None:
                grant = self._lease.request(who, reason)
            else:
                grant = self._displace(who, reason, displaced)
        except NotAuthorisedError as error:
            self._notes.refused(who, "lease.request", error, details=wish)
            raise
        self._notes.of(who, "lease.request", "done", epoch=grant.epoch, details=wish)
        return grant

    def renew(self, who: Identity, epoch: int) -> LeaseGrant:
        """Let it last for its full duration again, or raise `LeaseError`."""
        return self._lease.renew(who, epoch)

    def present(self, who: Identity, epoch: int) -> LeaseGrant:
        """A sign of life of the holder; `LeaseError` if the lease is not theirs."""
        return self._lease.present(who, epoch)

    def release(self, who: Identity, epoch: int) -> None:
        """Give it back.

        The instrument stays as it is, and the time limit of an unblanked beam stays in force; but a command
        that still runs, which nobody would watch any more, is ended by the safe state.

        Raises:
            LeaseError: it is not theirs.
            EucentricError: the instrument could not be made safe; nobody has the lease.
        """
        details: dict[str, JsonValue] = {}
        if not self._lease.release(who, epoch):
            details = self._end_what_runs(who)
        self._notes.of(who, "lease.release", "done", epoch=epoch, details=details)

    def hand_over(self, who: Identity, epoch: int, to: str | None) -> LeaseStatus:
        """Offer it to somebody, who gets it by asking; None takes the offer back."""
        status = self._lease.offer(who, epoch, to)
        self._notes.of(who, "lease.hand_over", "done", epoch=epoch, details={"to": to})
        return status

    def status(self) -> LeaseStatus:
        """Who has it."""
        return self._lease.status()

    def _displace(self, who: Identity, reason: str, displaced: LeaseGrant) -> LeaseGrant:
        try:
            reached = self._safe_state.reach(f"{who.name} takes the lease over from {displaced.holder}")
            details: dict[str, JsonValue] = {"from": displaced.holder, "for": reason, **reached.details}
            self._notes.of(who, "lease.taken_over", "done", epoch=displaced.epoch, details=details)
            self._lease_over(displaced.holder, displaced.epoch, reached)
            return self._lease.succeed(who, reason)
        except BaseException:
            # Whatever it was: the lease must not stay on its way to its end for ever.
            self._lease.leave_to_watchdog()
            raise

    def _end_what_runs(self, who: Identity) -> dict[str, JsonValue]:
        try:
            reached = self._safe_state.reach(f"{who.name} released the lease while a command ran")
        except BaseException:
            self._lease.leave_to_watchdog()
            raise
        self._lease.end_release()
        return reached.details
