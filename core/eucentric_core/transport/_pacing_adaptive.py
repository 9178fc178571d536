"""The rate of bulk data, found from round trips."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

__all__ = ["AdaptiveRate", "DelayHistory"]

TARGET_QUEUEING_S = 0.004
"""How much longer than the shortest round trip one may take before bulk data give way."""

_WINDOW_S = 10.0
_WINDOWS = 12
_RECENT_S = 0.15
_SOURCES = 64


@dataclass(slots=True)
class DelayHistory:
    """Round trips to one place: the shortest of two minutes stands for the empty link (RFC 6817, 2.4.2).

    The shortest of the last moments counts as the present one: noise only ever adds to a round trip.
    """

    _windows: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_WINDOWS))
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=512))

    def add(self, now_s: float, rtt_s: float) -> None:
        """A round trip took `rtt_s`."""
        if not self._windows or now_s - self._windows[-1][0] >= _WINDOW_S:
            self._windows.append([now_s, rtt_s])
        self._windows[-1][1] = min(self._windows[-1][1], rtt_s)
        self._recent.append((now_s, rtt_s))

    @property
    def base_s(self) -> float:
        """The shortest round trip of late; infinity before the first."""
        return min((shortest for _, shortest in self._windows), default=math.inf)

    def queueing_s(self, now_s: float) -> float | None:
        """How long packets wait somewhere; None when nothing was heard lately."""
        while self._recent and self._recent[0][0] < now_s - _RECENT_S:
            self._recent.popleft()
        if not self._recent:
            return None
        return min(rtt_s for _, rtt_s in self._recent) - self.base_s


class AdaptiveRate:
    """A delay-based controller after LEDBAT (RFC 6817), of a rate in place of a window.

    Doubles until the first queueing is seen, then adds in proportion to how far the queueing is from its
    target, and multiplies down when it is beyond. What the sender does not use does not count as room.

    Args:
        start_bytes_s: rate before the first round trips are known.
        min_bytes_s: never below.
        max_bytes_s: never above.
    """

    def __init__(self, *, start_bytes_s: float, min_bytes_s: float, max_bytes_s: float) -> None:
        self._min = min_bytes_s
        self._max = max(max_bytes_s, min_bytes_s)
        self._rate = min(max(start_bytes_s, self._min), self._max)
        self._starting = True
        self._sources: dict[Hashable, DelayHistory] = {}
        self._turned_s = -math.inf
        self._taken = 0

    @property
    def bytes_s(self) -> float:
        """The present rate."""
        return self._rate

    @property
    def base_rtt_s(self) -> float | None:
        """The shortest round trip known."""
        return min((history.base_s for history in self._sources.values()), default=None)

    def queueing_s(self, now_s: float) -> float | None:
        """How long packets wait on the way now, where that is seen best."""
        seen = [history.queueing_s(now_s) for history in self._sources.values()]
        return max((s for s in seen if s is not None), default=None)

    def took(self, n_bytes: int) -> None:
        """So much was sent."""
        self._taken += n_bytes

    def observe(self, now_s: float, rtt_s: float, source: Hashable = None) -> None:
        """A round trip to `source` took `rtt_s`."""
        if source not in self._sources and len(self._sources) >= _SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources.setdefault(source, DelayHistory()).add(now_s, rtt_s)
        if math.isinf(self._turned_s):
            self._turned_s = now_s
        interval_s = max(0.05, 1.5 * (self.base_rtt_s or 0.0))
        if now_s - self._turned_s >= interval_s:
            self._turn(now_s, now_s - self._turned_s)

    def _turn(self, now_s: float, elapsed_s: float) -> None:
        used = self._taken / (self._rate * elapsed_s)
        self._turned_s, self._taken = now_s, 0
        queueing_s = self.queueing_s(now_s)
        if queueing_s is None:
            return
        off = (TARGET_QUEUEING_S - queueing_s) / TARGET_QUEUEING_S
        if off < 0:
            self._starting = False
            self._rate *= max(0.7, 1 + 0.3 * off)
        elif used > 0.7:
            if queueing_s > TARGET_QUEUEING_S / 2:
                self._starting = False
            self._rate *= 1.5 if self._starting else 1 + 0.04 * off
        self._rate = min(max(self._rate, self._min), self._max)
