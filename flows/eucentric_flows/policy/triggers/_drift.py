"""The edge reports that the frames have left what the model knows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import AnyEvent, DriftDetected, DriftRecovered, ModelInstalled

from .._memory import Memory
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from .._wording import duration
from ._base import EventMatch
from ._origin import FromOrigin

__all__ = ["DriftTrigger"]


class DriftTrigger(FromOrigin):
    """Drift of the policy's model with at least this score, which has lasted for a time.

    Attributes:
        min_score: 1 is the edge of what the model calls normal.
        for_s: how long it has to last. It ends when the edge reports a lower score or that the frames are
            familiar again, or when another version is installed.
    """

    kind: Literal["drift"] = "drift"
    min_score: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    for_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"drift.detected", "drift.recovered", "model.installed"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if event is None:
            return self._lasting(memory, moment.now)
        if not self._concerns(event, moment.model):
            return memory, Unconcerned()
        if not isinstance(event, DriftDetected):
            over = "drift was over before it had lasted" if memory.since_utc else None
            return Memory(), NotMet(f"{over} {duration(self.for_s)}") if over else Unconcerned()
        score = f"drift score {event.drift_score:.3g}"
        if event.drift_score < self.min_score:
            return Memory(), NotMet(f"{score} is below {self.min_score:.3g}")
        if self.for_s == 0:
            return memory, Met(f"{score} is at least {self.min_score:.3g}", event.id)
        begun = memory
        if memory.since_utc is None:
            begun = Memory(since_utc=event.occurred_utc, occurrence=event.id)
        after, outcome = self._lasting(begun, max(moment.now, event.occurred_utc))
        if isinstance(outcome, Met):
            return after, outcome
        return after, NotMet(f"{score} has not lasted {duration(self.for_s)} yet")

    def _concerns(self, event: AnyEvent, model: str) -> bool:
        match event:
            case DriftDetected() | DriftRecovered():
                return event.model_name == model and self.is_from_here(event)
            case ModelInstalled():
                return event.model_name == model
            case _:
                return False

    def _lasting(self, memory: Memory, now: datetime) -> tuple[Memory, Outcome]:
        due_utc = self.due_utc(memory)
        if due_utc is None or now < due_utc or memory.occurrence is None:
            return memory, Unconcerned()
        return Memory(), Met(
            f"drift of score {self.min_score:.3g} or more has lasted {duration(self.for_s)}",
            memory.occurrence,
        )

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None if memory.since_utc is None else memory.since_utc + timedelta(seconds=self.for_s)

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        lasting = f" for {duration(self.for_s)}" if self.for_s else ""
        on = self.of_origin().replace(" of ", " on ")
        return f"the edge reports drift of model {model}{on} of score {self.min_score:g} or more{lasting}"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: without a bound and a time it is a plain match."""
        if self.min_score > 0 or self.for_s > 0 or self.sample is not None:
            return None
        return EventMatch("drift.detected", (("model_name", model), *self.origin))
