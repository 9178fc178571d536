"""Steering for people at browsers: the lease is held here in a person's name while their page is there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from eucentric_core import (
    EucentricError,
    LeaseError,
    LeaseStatus,
    NotAuthorisedError,
    Role,
    SteeringClient,
)

from ._person import Person

__all__ = ["ABSENCE_LIMIT_S", "Steward", "may_displace"]

ABSENCE_LIMIT_S = 5.0
"""A person whose pages have not been heard of for this long steers no more: the instrument is made safe."""

_LOOK_S = 0.25

_log = logging.getLogger(__name__)


def may_displace(person: Person, holder: LeaseStatus) -> bool:
    """Whether the rules let this person take the lease from who holds it; the agent judges once more."""
    return not holder.local and holder.role is not None and person.role.rank > holder.role.rank


@dataclass(slots=True)
class _Held:
    person: Person
    scope: SteeringClient
    stack: ExitStack


class Steward:
    """The lease of one instrument in the hands of people at this dashboard, one at a time.

    Any thread may call.

    Args:
        open_scope: connects to the agent under a person's name.
        now_s: monotonic seconds.
    """

    def __init__(
        self, open_scope: Callable[[str], SteeringClient], *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_scope = open_scope
        self._now_s = now_s
        # One change at a time; `holder` and `seen` never wait for an agent.
        self._changing = threading.RLock()
        self._held: _Held | None = None
        self._seen_s: dict[str, float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="steward", daemon=True)
        self.last_end: str | None = None
        """Why somebody's steering from here ended last without being released."""

    def start(self) -> None:
        """Begin to look after who is there."""
        self._thread.start()

    def close(self) -> None:
        """Give back what is held, with the instrument made safe."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)
        self._end("the dashboard stops")

    @property
    def holder(self) -> Person | None:
        """Who steers from here."""
        held = self._held
        return None if held is None else held.person

    def seen(self, name: str) -> None:
        """A page of this person is there."""
        self._seen_s[name] = self._now_s()

    def request(
        self, person: Person, reason: str, *, take_over: bool = False, lease: LeaseStatus | None = None
    ) -> None:
        """Take the lease in a person's name.

        Args:
            person: is at a page of this dashboard.
            reason: for the audit log and for whoever waits.
            take_over: from a holder of a lower role; the instrument is made safe first.
            lease: who holds it, as far as is known.

        Raises:
            NotAuthorisedError: the person's role does not allow it.
            LeaseError: somebody else holds it.
            EucentricError: the agent refused or does not answer.
        """
        if not person.role.covers(Role.SCIENTIST):
            raise NotAuthorisedError(
                f"Steering needs the role scientist; {person.name} has the role {person.role}.",
                safe="nothing was changed.",
                next_step="ask an administrator for the role.",
            )
        with self._changing:
            held = self._held
            if held is not None and held.person.name == person.name:
                return
            elsewhere = take_over and held is None
            if held is not None:
                self._displace(held.person, person, insist=take_over)
            elif take_over and lease is not None and lease.holder and not may_displace(person, lease):
                raise _too_low(person, lease.holder, lease.role)
            self.seen(person.name)
            self._held = self._hold(person, reason, take_over=elsewhere)
            self.last_end = None

    def release(self, person: Person) -> None:
        """Give the lease back; the instrument stays as it is. `LeaseError` if it is not theirs."""
        with self._changing:
            held = self._require(person)
            self._held = None
            held.stack.close()

    def scope(self, person: Person) -> SteeringClient:
        """Steer with this, while the person holds the lease; `LeaseError` if they do not."""
        return self._require(person).scope

    def _require(self, person: Person) -> _Held:
        held = self._held
        if held is None or held.person.name != person.name:
            raise LeaseError(
                f"{person.name} does not steer this instrument from here.",
                safe="nothing was sent to it.",
                next_step="request the lease in the strip on top first.",
            )
        return held

    def _hold(self, person: Person, reason: str, *, take_over: bool) -> _Held:
        with ExitStack() as stack:
            scope = stack.enter_context(self._open_scope(person.name))
            stack.enter_context(scope.control(reason=reason, take_over=take_over))
            return _Held(person, scope, stack.pop_all())

    def _displace(self, holder: Person, taker: Person, *, insist: bool) -> None:
        if not insist:
            raise LeaseError(
                f"{holder.name} steers from this dashboard.",
                safe="nothing was changed.",
                next_step="ask them to release the lease, or take it over if your role is above theirs.",
            )
        if taker.role.rank <= holder.role.rank:
            raise _too_low(taker, holder.name, holder.role)
        self._end(f"{taker.name} took the lease over from {holder.name}")

    def _end(self, why: str) -> None:
        """Give the lease back in somebody's stead, with the instrument made safe first."""
        with self._changing:
            held, self._held = self._held, None
            if held is None:
                return
            self.last_end = f"{held.person.name} steers no more: {why}."
            _log.warning("%s", self.last_end)
            try:
                # Closing a scope that holds the lease makes the instrument safe, then releases.
                held.scope.close()
                held.stack.close()
            except EucentricError as error:
                _log.warning("the lease was not given back in order: %s", error)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_S):
            held = self._held
            if held is None:
                continue
            lost = held.scope.lease_lost
            absent_s = self._now_s() - self._seen_s.get(held.person.name, self._now_s())
            if lost is not None:
                self._end(lost.what.rstrip("."))
            elif absent_s > ABSENCE_LIMIT_S:
                self._end(f"no page of theirs was heard of for {absent_s:.0f} s")


def _too_low(taker: Person, holder: str, role: Role | None) -> NotAuthorisedError:
    of_holder = "a role that is not known" if role is None else f"the role {role}"
    return NotAuthorisedError(
        f"{holder} steers with {of_holder}; {taker.name} has the role {taker.role}.",
        safe="nothing was changed.",
        next_step="ask the holder to release the lease; Safe stop is open to everybody.",
    )
