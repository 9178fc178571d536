"""What was decided, and what is still to be decided."""

from __future__ import annotations

from typing import Literal

from eucentric_core import FrozenModel, UtcDatetime

from ._memory import Memory

__all__ = ["Answer", "Decision", "PolicyState", "Ruling", "Status", "Waiting"]

Status = Literal["fired", "held", "deferred", "awaiting", "rejected", "expired", "not_met"]
"""`held`: given up, with the reason. `deferred`: decided later. `awaiting`: a person has to approve.
`rejected`: a person said no. `expired`: nobody answered in time. `not_met`: not enough for the trigger."""


class Decision(FrozenModel):
    """Whether a run may begin, and why, as one sentence."""

    fire: bool
    reason: str


class Ruling(FrozenModel):
    """What a policy makes of an occurrence. `until_utc`: when it is taken up again."""

    occurrence: str
    status: Status
    reason: str
    until_utc: UtcDatetime | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more will be decided about it."""
        return self.status not in ("deferred", "awaiting")


class Waiting(FrozenModel):
    """A firing that is put off."""

    occurrence: str
    because: str
    objection: str
    until_utc: UtcDatetime
    approval: bool
    approved_by: str | None = None


class PolicyState(FrozenModel):
    """All that deciding carries from one moment to the next."""

    memory: Memory = Memory()
    waiting: Waiting | None = None


class Answer(FrozenModel):
    """What a person says to a firing that awaits approval."""

    approved: bool
    by: str
    because: str = ""

    @property
    def said_by(self) -> str:
        """Who, and why where they said it."""
        return f"{self.by}: {self.because}" if self.because else self.by
