"""A person asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from eucentric_core import FrozenModel, PolicyRequested

from .._memory import Memory
from .._moment import Met, Moment, Outcome, Unconcerned
from ._base import EventMatch

__all__ = ["ManualTrigger"]


class ManualTrigger(FrozenModel):
    """`eucentric policy fire` names the policy. Its guards hold for people, too."""

    kind: Literal["manual"] = "manual"

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"policy.requested"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if not isinstance(event, PolicyRequested) or event.policy != moment.policy:
            return memory, Unconcerned()
        return memory, Met(f"{event.requested_by} asked for it", event.id)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        return "a person asks for it"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: the request is ours to answer."""
        return None
