"""What a trigger is asked about, and what it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from eucentric_core import AnyEvent

__all__ = ["Met", "Moment", "NotMet", "Outcome", "Unconcerned"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something happened, or only time passed.

    Args:
        now: present time, in UTC; later than the event occurred, by however late it arrived.
        policy: name of the policy that is asked.
        model: the policy's model.
        event: what happened; None if only time passed.
    """

    now: datetime
    policy: str
    model: str
    event: AnyEvent | None = None


@dataclass(frozen=True, slots=True)
class Unconcerned:
    """The moment says nothing to this trigger; there is nothing to record."""


@dataclass(frozen=True, slots=True)
class NotMet:
    """The event counts, but it is not (yet) enough."""

    reason: str


@dataclass(frozen=True, slots=True)
class Met:
    """The trigger is met.

    Args:
        reason: why, as a clause.
        occurrence: what it was met by: the id of an event, or the name of a scheduled time. The same
            occurrence is never decided about twice.
    """

    reason: str
    occurrence: str


Outcome = Unconcerned | NotMet | Met
