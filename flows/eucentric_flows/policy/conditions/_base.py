"""What every kind of condition does. A new kind is a module beside this one and a name in `AnyCondition`."""

from __future__ import annotations

from typing import Protocol

from .._circumstances import Circumstances

__all__ = ["Condition"]


class Condition(Protocol):
    """Something that must hold when a trigger is met: a frozen model and pure functions of it."""

    def unmet(self, policy: str, model: str, circumstances: Circumstances) -> str | None:
        """Why it does not hold, as a clause; None if it holds."""
        ...

    def phrase(self, model: str) -> str:
        """What must hold, as a clause that follows "provided that"."""
        ...
