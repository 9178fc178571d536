"""A lease while somebody has it, how those before it ended, and who would like to have it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from ._identity import Identity

__all__ = ["EndedLeases", "Ending", "Held", "Wishes"]

_WISH_LASTS_S = 30.0


@dataclass(slots=True)
class Held:
    """A lease that was granted and is not yet over.

    `ending`: its time is up (`lost`), somebody took it (`taken`), or it was given back while a command
    ran (`released`), and the instrument is on its way to the safe state. `silent`: the holder was not
    heard of for long, and the instrument was made safe.
    """

    holder: Identity
    epoch: int
    reason: str
    expires_s: float
    heard_s: float
    silent: bool = False
    made_safe: str | None = None
    offered_to: str | None = None
    offer_ends_s: float = 0.0
    ending: Literal["lost", "taken", "released"] | None = None

    def offer_at(self, now_s: float) -> str | None:
        """Whom the holder offers it to at this time."""
        return self.offered_to if now_s < self.offer_ends_s else None

    def is_offered_to(self, who: Identity, now_s: float) -> bool:
        """Whether `who` gets it by asking now; another program of the holder's own may."""
        offered_to = self.offer_at(now_s)
        return offered_to is not None and who.answers_to(offered_to) and who.key != self.holder.key


@dataclass(frozen=True, slots=True)
class Ending:
    """How a lease ended; `handed_over_to` if its holder gave it away."""

    how: str
    handed_over_to: str | None = None


class EndedLeases:
    """How the last few leases ended, by epoch."""

    def __init__(self, capacity: int = 32) -> None:
        self._capacity = capacity
        self._how: OrderedDict[int, Ending] = OrderedDict()

    def note(self, epoch: int, how: str, *, handed_over_to: str | None = None) -> None:
        """Remember how it ended; what was noted first stays."""
        self._how.setdefault(epoch, Ending(how, handed_over_to))
        while len(self._how) > self._capacity:
            self._how.popitem(last=False)

    def how(self, epoch: int) -> Ending | None:
        """How it ended, if that is still remembered."""
        return self._how.get(epoch)


class Wishes:
    """Who asked for the lease lately and was told to wait."""

    def __init__(self, capacity: int = 8) -> None:
        self._capacity = capacity
        self._asked: OrderedDict[str, tuple[Identity, float]] = OrderedDict()

    def add(self, who: Identity, now_s: float) -> None:
        """Somebody was told to wait."""
        self._asked[who.name] = who, now_s
        self._asked.move_to_end(who.name)
        while len(self._asked) > self._capacity:
            self._asked.popitem(last=False)

    def drop(self, who: Identity) -> None:
        """They have it now."""
        self._asked.pop(who.name, None)

    def at(self, now_s: float, holder: Identity) -> tuple[str, ...]:
        """The names of those who are not the holder, the first to ask first."""
        return tuple(
            name
            for name, (who, asked_s) in self._asked.items()
            if now_s - asked_s < _WISH_LASTS_S and not who.is_same_person(holder)
        )
