"""What every kind of trigger does. A new kind is a module beside this one and a name in `AnyTrigger`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .._memory import Memory
from .._moment import Moment, Outcome

__all__ = ["EventMatch", "Trigger"]


@dataclass(frozen=True, slots=True)
class EventMatch:
    """An event by its kind and by labels that are equal: all that an automation of Prefect can tell apart."""

    kind: str
    labels: tuple[tuple[str, str], ...] = ()


class Trigger(Protocol):
    """When a policy acts: a frozen model of declared fields, and pure functions of them."""

    @property
    def hears(self) -> frozenset[str]:
        """Kinds of events that it looks at."""
        ...

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """Take one moment into account. Moments come in the order of their arrival."""
        ...

    def due_utc(self, memory: Memory) -> datetime | None:
        """When it wants to be asked again although nothing happens; None: never."""
        ...

    def phrase(self, model: str) -> str:
        """When it is met, as a clause that follows "when"."""
        ...

    def as_match(self, model: str) -> EventMatch | None:
        """The match that is exactly this trigger; None if no match is."""
        ...
