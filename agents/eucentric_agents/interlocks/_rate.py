"""How often the stage may be moved."""

from __future__ import annotations

from collections import deque

from ._finding import Finding
from ._limits import MoveRateLimits

__all__ = ["MoveRate"]

_WINDOW_S = 60.0
_MOST_MOVES = 10_000


class MoveRate:
    """Remembers the moves of the last minute; whoever calls holds a lock."""

    def __init__(self) -> None:
        self._moves_s: deque[float] = deque(maxlen=_MOST_MOVES)

    def find(self, limits: MoveRateLimits, now_s: float) -> Finding | None:
        """The limit that one more move would pass now."""
        if limits.min_interval_s is not None and self._moves_s:
            since_s = now_s - self._moves_s[-1]
            if since_s < limits.min_interval_s:
                return Finding(
                    "rate.min_interval_s",
                    f"The last move was {since_s:.3g} s ago; "
                    f"{limits.min_interval_s:.6g} s must lie between two.",
                    f"wait {limits.min_interval_s - since_s:.3g} s.",
                    limit=limits.min_interval_s,
                    value=since_s,
                    unit="s",
                )
        if limits.moves_per_minute is not None:
            recent = [moved_s for moved_s in self._moves_s if now_s - moved_s < _WINDOW_S]
            if len(recent) >= limits.moves_per_minute:
                wait_s = recent[-limits.moves_per_minute] + _WINDOW_S - now_s
                return Finding(
                    "rate.moves_per_minute",
                    f"The stage was moved {len(recent)} times in the last minute; "
                    f"{limits.moves_per_minute} are allowed.",
                    f"wait {wait_s:.3g} s.",
                    limit=float(limits.moves_per_minute),
                    value=float(len(recent) + 1),
                    unit="1/min",
                )
        return None

    def note(self, now_s: float) -> None:
        """A move begins."""
        self._moves_s.append(now_s)
