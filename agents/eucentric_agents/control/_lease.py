"""Who holds the lease, and since which fencing epoch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import LEASE_DURATION_S, SILENCE_LIMIT_S, LeaseGrant, LeaseStatus

from . import _lease_words as words
from ._access import may_take_over
from ._epoch_file import EpochFile
from ._held import EndedLeases, Held, Wishes
from ._identity import Identity

__all__ = ["OFFER_S", "LeaseKeeper"]

OFFER_S = 30.0
"""How long a hand-over stays on offer."""

_GRANT_WAIT_S = 1.0


class LeaseKeeper:
    """Grants one lease at a time. Any thread may use it.

    The epoch rises with every grant and is on disk before the grant is given, so that a client of
    before a restart can never pass for the holder of after it. A lease that was lost or taken blocks the
    next one until `end_lost` or `succeed`: nobody steers while the instrument is on its way to the
    safe state. No lease is granted either while a command under an older epoch is at the driver: between
    the check of its epoch and its first act nobody else can come to steer.

    The disk is never waited for under the lock: who makes the instrument safe needs no more than that.

    Args:
        path: where the epoch is kept.
        duration_s: how long a lease lasts without renewal.
        silence_s: how long a holder may be silent.
        clock: monotonic seconds.

    Raises:
        DataFormatError: the file is damaged; an epoch is never guessed.
    """

    def __init__(
        self,
        path: Path,
        *,
        duration_s: float = LEASE_DURATION_S,
        silence_s: float = SILENCE_LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs = EpochFile(path)
        self._duration_s = duration_s
        self._silence_s = silence_s
        self._clock = clock
        self._lock = threading.Lock()
        self._driver_idle = threading.Condition(self._lock)
        self._at_driver: str | None = None
        self._granting: Identity | None = None
        self._held: Held | None = None
        self._ended = EndedLeases()
        self._wishes = Wishes()

    def request(self, who: Identity, reason: str) -> LeaseGrant:
        """Grant the lease, if it is free or offered to `who`.

        Raises:
            LeaseError: someone holds it, or the instrument is still being made safe after someone lost it.
            BusyError: a command under an older epoch is still at the driver.
            EucentricError: the epoch could not be written; whoever had the lease still has it.
        """
        with self._lock:
            self._require_available(who)
            self._wait_for_driver()
            # The lock was open meanwhile.
            self._require_available(who)
            self._granting = who
        with self._next_epoch() as epoch:
            # Once more: who offers it stays its holder, and is watched, until here.
            held = self._require_available(who, granted=True)
            if held is not None:
                how = f"{held.holder.name} handed the lease over to {who.name}"
                self._ended.note(held.epoch, how, handed_over_to=who.name)
            return self._grant(who, reason, epoch)

    def displace(self, who: Identity, reason: str, *, insist: bool) -> LeaseGrant | None:
        """Take the lease from its holder; nobody has it until `succeed` or `end_lost`.

        Args:
            who: is to have it.
            reason: what the holder is told.
            insist: take it from whomever they may; without it, only the instrument's own console takes
                it, and only from somebody far away.

        Returns:
            The lease that is over; None if `request` is the way to have it.

        Raises:
            NotAuthorisedError: the holder cannot be displaced by `who`.
            LeaseError: it is just being lost or taken.
        """
        with self._lock:
            held, now_s = self._held, self._clock()
            self._require_no_grant()
            if held is None or held.is_offered_to(who, now_s):
                return None
            if self._is_over(held):
                raise words.ask_again(held.holder)
            if not insist and (held.holder.local or not who.local):
                return None
            if not may_take_over(who, held.holder):
                self._wishes.add(who, now_s)
                raise words.rank_too_low(who, held.holder)
            place = "at the instrument itself" if who.local else f"({who.role})"
            self._ended.note(
                held.epoch, f"{who.name} {place} took the lease over, for {reason or 'no reason'}"
            )
            held.ending = "taken"
            return self._as_grant(held)

    def succeed(self, who: Identity, reason: str) -> LeaseGrant:
        """Grant the lease that `displace` has taken: the instrument is safe now.

        Raises:
            BusyError: a command under the old epoch is still at the driver; the lease is free.
            EucentricError: the epoch could not be written; the lease is free.
        """
        with self._lock:
            try:
                self._wait_for_driver()
            finally:
                self._held = None
            self._granting = who
        with self._next_epoch() as epoch:
            return self._grant(who, reason, epoch)

    def leave_to_watchdog(self) -> None:
        """The instrument could not be made safe: what was taken or given back ends like a lost lease."""
        with self._lock:
            if self._held is not None and self._held.ending is not None:
                self._held.ending = "lost"

    def renew(self, who: Identity, epoch: int) -> LeaseGrant:
        """Let the lease last for its full duration again; `LeaseError` if it is not theirs."""
        with self._lock:
            held = self._require(who, epoch)
            held.expires_s = self._clock() + self._duration_s
            return self._answer_holder(held)

    def present(self, who: Identity, epoch: int) -> LeaseGrant:
        """The holder is there; its lease is not renewed by that. `LeaseError` if it is not theirs."""
        with self._lock:
            return self._answer_holder(self._require(who, epoch))

    def release(self, who: Identity, epoch: int) -> bool:
        """Give the lease back; `LeaseError` if it is not theirs.

        Returns:
            False while a command under it is at the driver, which nobody would watch any more: nobody
            has the lease, and the instrument is to be made safe before `end_release`.
        """
        with self._lock:
            held = self._require(who, epoch)
            self._ended.note(epoch, f"{who.name} released it")
            if self._at_driver is not None:
                held.ending = "released"
                return False
            self._held = None
            return True

    def end_release(self) -> None:
        """The instrument is safe: the lease that was given back is over."""
        with self._lock:
            if self._held is not None and self._held.ending == "released":
                self._held = None

    def offer(self, who: Identity, epoch: int, to: str | None) -> LeaseStatus:
        """Offer the lease to someone for `OFFER_S`, or to nobody any more; `LeaseError` if it is not theirs.

        They get it by asking; until then the holder keeps it.
        """
        with self._lock:
            held = self._require(who, epoch)
            held.offered_to, held.offer_ends_s = to, self._clock() + OFFER_S
        return self.status()

    def check(self, who: Identity, epoch: int | None) -> None:
        """Pass only who holds the lease now; they are heard of by this.

        Raises:
            LeaseError: no epoch, an old one, an expired lease, or somebody else's.
        """
        with self._lock:
            self._require(who, epoch)

    def require(self, who: Identity, epoch: int | None) -> None:
        """As `check`, for a command that was admitted before: it shows nothing of its giver now."""
        with self._lock:
            self._require(who, epoch, heard=False)

    def heard(self, who: Identity, epoch: int | None) -> None:
        """A call that needs no lease carried this epoch; of the holder, it shows that they are there."""
        with self._lock:
            held = self._held
            if held is not None and (epoch, who.key) == (held.epoch, held.holder.key):
                self._hear(held)

    @contextmanager
    def at_driver(self, who: Identity, epoch: int | None, what: str) -> Iterator[None]:
        """Check once more, and keep every new lease away until the command has left the driver.

        For the one thread that owns the driver.

        Raises:
            LeaseError: as `check`.
        """
        with self._lock:
            self._require(who, epoch, heard=False)
            self._require_no_grant()
            self._at_driver = f"{what} of {who.name}"
        try:
            yield
        finally:
            with self._lock:
                self._at_driver = None
                self._driver_idle.notify_all()

    def status(self) -> LeaseStatus:
        """Who holds the lease and for how long still."""
        with self._lock:
            held, now_s = self._held, self._clock()
            if held is None or self._is_over(held):
                return LeaseStatus(holder=None, epoch=self._epochs.last, remaining_s=0.0)
            return LeaseStatus(
                holder=held.holder.name,
                epoch=held.epoch,
                remaining_s=held.expires_s - now_s,
                role=held.holder.role,
                local=held.holder.local,
                reason=held.reason,
                offered_to=held.offer_at(now_s),
                wanted_by=self._wishes.at(now_s, held.holder),
            )

    def note_made_safe(self, reason: str, *, unless: Identity | None = None) -> None:
        """The holder, if there is one and it is not `unless`, is told of this when they are next heard of."""
        with self._lock:
            held = self._held
            if held is not None and (unless is None or held.holder.key != unless.key):
                held.made_safe = reason

    def take_silent(self) -> LeaseGrant | None:
        """The lease whose holder has just become silent; told once for each silence."""
        with self._lock:
            held = self._held
            if held is None or held.silent or self._is_over(held):
                return None
            if self._clock() - held.heard_s < self._silence_s:
                return None
            held.silent = True
            return self._as_grant(held)

    def take_lost(self) -> LeaseGrant | None:
        """The lease that has expired, if one has; from now on it is being ended."""
        with self._lock:
            held = self._held
            if held is None or held.ending in ("taken", "released") or not self._is_over(held):
                return None
            held.ending = "lost"
            self._ended.note(held.epoch, f"it was not renewed within {self._duration_s:g} s and is lost")
            return self._as_grant(held)

    def end_lost(self) -> bool:
        """The instrument is safe: the lost lease is over and the next may be granted.

        Returns:
            False while a command under it is still at the driver: make safe again, and ask again.
        """
        with self._lock:
            if self._at_driver is not None:
                return False
            if self._held is not None and self._held.ending == "lost":
                self._held = None
            return True

    def _is_over(self, held: Held) -> bool:
        return held.ending is not None or held.expires_s <= self._clock()

    def _require_no_grant(self) -> None:
        if self._granting is not None:
            raise words.being_granted(self._granting)

    @contextmanager
    def _next_epoch(self) -> Iterator[int]:
        """Write the next epoch with the lock open; inside, the lock is held. Nobody else is granted one."""
        try:
            epoch = self._epochs.next()
        except BaseException:
            with self._lock:
                self._granting = None
            raise
        with self._lock:
            self._granting = None
            yield epoch

    def _require_available(self, who: Identity, *, granted: bool = False) -> Held | None:
        held, now_s = self._held, self._clock()
        if not granted:
            self._require_no_grant()
        if held is None:
            return None
        if self._is_over(held):
            raise words.ask_again(held.holder)
        if held.is_offered_to(who, now_s):
            return held
        self._wishes.add(who, now_s)
        raise words.held(held.holder, held.expires_s - now_s, may_take=may_take_over(who, held.holder))

    def _wait_for_driver(self) -> None:
        if not self._driver_idle.wait_for(lambda: self._at_driver is None, _GRANT_WAIT_S):
            raise words.at_work(self._at_driver or "a command")

    def _grant(self, who: Identity, reason: str, epoch: int) -> LeaseGrant:
        now_s = self._clock()
        self._held = Held(who, epoch, reason, expires_s=now_s + self._duration_s, heard_s=now_s)
        self._wishes.drop(who)
        return self._as_grant(self._held)

    def _require(self, who: Identity, epoch: int | None, *, heard: bool = True) -> Held:
        held = self._held
        if epoch is None:
            raise words.needs_lease()
        if held is None or epoch != held.epoch or held.ending in ("taken", "released"):
            raise words.old_epoch(epoch, self._ended.how(epoch))
        if who.key != held.holder.key:
            raise words.not_holder(who, held.holder)
        if self._is_over(held):
            raise words.expired(held.holder, self._duration_s)
        if heard:
            self._hear(held)
        return held

    def _hear(self, held: Held) -> None:
        held.heard_s = self._clock()
        held.silent = False

    def _answer_holder(self, held: Held) -> LeaseGrant:
        made_safe, held.made_safe = held.made_safe, None
        return self._as_grant(held, made_safe)

    def _as_grant(self, held: Held, made_safe: str | None = None) -> LeaseGrant:
        return LeaseGrant(
            holder=held.holder.name, epoch=held.epoch, duration_s=self._duration_s, made_safe=made_safe
        )
