"""What this machine knows about releases, for people and for alarms."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from .._errors import ErrorReport
from .._model import FrozenModel, UtcDatetime

__all__ = ["ReleaseView"]

State = Literal["never", "fresh", "stale", "refused", "expired"]


class ReleaseView(FrozenModel):
    """The verified metadata at hand, and how the last look at the source went.

    Attributes:
        root_version: of the root metadata that is trusted.
        root_expires_utc: from then on nothing new is accepted until there is a newer root.
        timestamp_version: of the newest timestamp that was verified; None before the first.
        fresh_until_utc: until then it is known that nothing newer has been held back for longer than the
            life of a timestamp; None before the first look.
        looked_utc: when the source was last asked.
        problem: why the last look failed; None if it did not.
    """

    root_version: int
    root_expires_utc: UtcDatetime
    timestamp_version: int | None = None
    fresh_until_utc: UtcDatetime | None = None
    looked_utc: UtcDatetime | None = None
    problem: ErrorReport | None = None

    def state(self, now: datetime) -> State:
        """One word.

        `never`: not looked yet. `fresh`: the last look succeeded. `stale`: the source does not answer; what
        is known still holds. `refused`: what the source shows was refused. `expired`: nothing is known about
        now; nothing is installed until there is fresh metadata.
        """
        if self.fresh_until_utc is not None and now >= min(self.fresh_until_utc, self.root_expires_utc):
            return "expired"
        if self.problem is not None:
            return "stale" if self.problem.code == "release_unreachable" else "refused"
        return "never" if self.fresh_until_utc is None else "fresh"

    def sentence(self, now: datetime) -> str:
        """The same for an operator."""
        known = "" if self.fresh_until_utc is None else f" until {self.fresh_until_utc:%Y-%m-%d %H:%M} UTC"
        problem = "" if self.problem is None else f" ({self.problem.what})"
        return {
            "never": f"No release was looked for yet{problem}.",
            "fresh": f"The newest release is known; this holds{known}.",
            "stale": f"The releases cannot be reached{problem}; what is known holds{known}.",
            "refused": f"What the source shows was refused{problem}; what is known holds{known}.",
            "expired": f"The metadata held{known}: nothing is installed without newer ones{problem}.",
        }[self.state(now)]
