"""Several triggers together: all within a time, or any of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel

from .._memory import Memory
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from .._wording import duration
from ._base import EventMatch, Trigger

if TYPE_CHECKING:
    from . import AnyTrigger

__all__ = ["AllTrigger", "AnyOfTrigger"]

_Several = Field(min_length=2, max_length=8)


class AllTrigger(FrozenModel):
    """Each of the triggers was met, all of them within `within_s`; the last one is what fires."""

    kind: Literal["all"] = "all"
    of: Annotated[tuple[AnyTrigger, ...], _Several]
    within_s: Annotated[float, Field(gt=0, le=30 * 86_400)]

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return _heard(self.of)

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        children, outcomes = _each(self.of, memory, moment)
        marks = list(memory.met_utc or [None] * len(self.of))
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, Met):
                marks[place] = moment.now
        fresh = [
            mark if mark is not None and (moment.now - mark).total_seconds() <= self.within_s else None
            for mark in marks
        ]
        if met := next((outcome for outcome in outcomes if isinstance(outcome, Met)), None):
            if None not in fresh:
                return Memory(children=children), Met(
                    f"all {len(fresh)} triggers within {duration(self.within_s)}, last: {met.reason}",
                    met.occurrence,
                )
            reason = f"{len(fresh) - fresh.count(None)} of {len(fresh)} triggers, {met.reason}"
            return Memory(children=children, met_utc=tuple(fresh)), NotMet(reason)
        return Memory(children=children, met_utc=tuple(fresh)), _first(outcomes)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return _earliest(self.of, memory)

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        parts = ", and ".join(trigger.phrase(model) for trigger in self.of)
        return f"within {duration(self.within_s)} {parts}"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: Prefect's compounds forget what they waited for when an automation is changed."""
        return None


class AnyOfTrigger(FrozenModel):
    """Any one of the triggers is met."""

    kind: Literal["any"] = "any"
    of: Annotated[tuple[AnyTrigger, ...], _Several]

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return _heard(self.of)

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        children, outcomes = _each(self.of, memory, moment)
        return Memory(children=children), _first(outcomes)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return _earliest(self.of, memory)

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        return ", or ".join(trigger.phrase(model) for trigger in self.of)

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`."""
        return None


def _heard(triggers: Iterable[Trigger]) -> frozenset[str]:
    return frozenset().union(*(trigger.hears for trigger in triggers))


def _each(
    triggers: Sequence[Trigger], memory: Memory, moment: Moment
) -> tuple[tuple[Memory, ...], tuple[Outcome, ...]]:
    before = memory.children or (Memory(),) * len(triggers)
    steps = [trigger.advance(old, moment) for trigger, old in zip(triggers, before, strict=True)]
    return tuple(after for after, _ in steps), tuple(outcome for _, outcome in steps)


def _first(outcomes: Sequence[Outcome]) -> Outcome:
    for kind in (Met, NotMet):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                return outcome
    return Unconcerned()


def _earliest(triggers: Sequence[Trigger], memory: Memory) -> datetime | None:
    children = memory.children or (Memory(),) * len(triggers)
    due = (trigger.due_utc(child) for trigger, child in zip(triggers, children, strict=True))
    return min((each for each in due if each is not None), default=None)
