"""People switch policies on and off: one by one, and all of them at once."""

from __future__ import annotations

from datetime import datetime

from eucentric_core import FrozenModel, UtcDatetime

from ..policy import Policy
from ._store import PolicyStore

__all__ = ["Switch", "Switches"]

_ALL = "*"
"""No policy can have this name."""


class Switch(FrozenModel):
    """What a person did last."""

    turned_on: bool
    person: str
    reason: str
    at_utc: UtcDatetime

    @property
    def told(self) -> str:
        """Who, when and why, as an end of a sentence."""
        why = f": {self.reason}" if self.reason else ""
        return f"by {self.person} at {self.at_utc:%Y-%m-%d %H:%M:%S} UTC{why}"


class Switches:
    """What a person switched last holds, whatever the file says; the pause of all holds above it."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def turn(self, policy: str, switch: Switch) -> None:
        """Switch one policy."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO switches VALUES (?, ?, ?, ?, ?)",
                (policy, switch.turned_on, switch.person, switch.reason, switch.at_utc.isoformat()),
            )

    def pause_all(self, person: str, reason: str, now: datetime) -> None:
        """No policy fires until `resume_all`."""
        self.turn(_ALL, Switch(turned_on=False, person=person, reason=reason, at_utc=now))

    def resume_all(self, person: str, now: datetime) -> None:
        """Every policy is again as it was switched itself."""
        self.turn(_ALL, Switch(turned_on=True, person=person, reason="", at_utc=now))

    def all(self) -> dict[str, Switch]:
        """Every switch by policy."""
        rows = self._store.rows("SELECT * FROM switches")
        return {
            row["policy"]: Switch(
                turned_on=bool(row["turned_on"]),
                person=row["person"],
                reason=row["reason"],
                at_utc=datetime.fromisoformat(row["at_utc"]),
            )
            for row in rows
        }

    def pause(self) -> Switch | None:
        """Who paused all policies, when and why; None where they are not paused."""
        paused = self.all().get(_ALL)
        return None if paused is None or paused.turned_on else paused

    def why_off(self, policy: Policy) -> str | None:
        """Why a policy may not act, as a clause; None if it may."""
        paused, own = self.pause(), self.all().get(policy.name)
        if paused is not None:
            return f"all policies were paused {paused.told}"
        if own is None:
            return None if policy.enabled else f"policy {policy.name} is disabled in its file"
        return None if own.turned_on else f"policy {policy.name} was disabled {own.told}"
