"""What a guard says when it holds an action back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["Guard", "Objection"]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an action is held back, and whether it is given up or put off.

    Args:
        reason: one clause.
        until_utc: when to ask again; None if the action is given up.
        approval: whether a person may lift it before; at `until_utc` it is given up.
    """

    reason: str
    until_utc: datetime | None = None
    approval: bool = False


class Guard(Protocol):
    """A pure function of the policy and the circumstances. A new guard is a module and a name in `GUARDS`."""

    def __call__(self, policy: Policy, circumstances: Circumstances, /) -> Objection | None:
        """The objection; None if there is none."""
        ...
