"""Undo and redo over what somebody labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ._labels import LabelEvent, Labelling, Regrid, applied

__all__ = ["MOST_STEPS", "History"]

MOST_STEPS = 500
"""So many steps can be undone; older ones hold for good."""


@dataclass(frozen=True)
class History:
    """A value: each method gives another one.

    Attributes:
        now: the labelling at present.
        before: those that can be come back to, the last one last.
        after: those that were undone, the next to be done again last.
        sizing: the last step changed the grid. Another change of the grid replaces it, so that a slider that
            is moved to and fro is one step and loses no label on its way.
    """

    now: Labelling
    before: tuple[Labelling, ...] = ()
    after: tuple[Labelling, ...] = ()
    sizing: bool = False

    def done(self, event: LabelEvent) -> Self:
        """After an event; one that changes nothing is none.

        Raises:
            LabelError: the event cannot be; nothing has changed.
        """
        sizing = isinstance(event, Regrid)
        again = sizing and self.sizing and bool(self.before)
        earlier = self.before[-1] if again else self.now
        changed = applied(earlier, event)
        if changed == self.now:
            return self
        before = self.before if again else (*self.before, self.now)[-MOST_STEPS:]
        return type(self)(changed, before, (), sizing)

    def undone(self) -> Self:
        """One step back; the same where there is none."""
        if not self.before:
            return self
        return type(self)(self.before[-1], self.before[:-1], (*self.after, self.now))

    def redone(self) -> Self:
        """One step forward again; the same where there is none."""
        if not self.after:
            return self
        return type(self)(self.after[-1], (*self.before, self.now), self.after[:-1])
