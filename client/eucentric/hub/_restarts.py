"""How often a service that ended is started again, and after how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Restarts"]

_FIRST_S = 0.5
_LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """The restarts of one service.

    Args:
        most: so many within `within_s`; the next end is the last.
        within_s: what is longer ago does not count.
        at_s: when there were some (s of any clock that only rises).
    """

    most: int
    within_s: float
    at_s: tuple[float, ...] = ()

    def ended(self, now_s: float) -> tuple[Restarts, float | None]:
        """The service has ended.

        Returns:
            The restarts with this one, and how long to wait for it (s): 0.5, 1, 2, ... up to 30. None: it is
            given up.
        """
        recent = tuple(at for at in self.at_s if now_s - at < self.within_s)
        if len(recent) >= self.most:
            return replace(self, at_s=recent), None
        return replace(self, at_s=(*recent, now_s)), min(_FIRST_S * 2 ** len(recent), _LONGEST_S)
