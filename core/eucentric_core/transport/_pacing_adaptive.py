"""The rate of bulk data, found from round trips."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

__all__ = ["TARGET_QUEUEING_S", "AdaptiveRate", "DelayHistory"]

TARGET_QUEUEING_S = 0.004
"""How much longer than the shortest round trip one may take before bulk data give way."""

_WINDOW_S = 10.0
_WINDOWS = 12
_RECENT_S = 0.025
_FEWEST = 3
_STALE_S = 2.0
_SOURCES = 64

_INTERVAL_S = 0.05
_STARTING_STEP = 1.25
_BLIND_STEP = 1.1
_BLIND_S = 0.1
_RETURNING_STEP = 1.05
_MILDEST, _SEVEREST = 0.9, 0.5
_PLATEAU_S = 3.0
_CURVATURE = (1 - _MILDEST) / _PLATEAU_S**3
_RETURN_AFTER_S = _PLATEAU_S + 3.0
_IN_USE = 0.7
_IN_VAIN = 1 / 16
_DRAINING = 0.9
_TOLERANCE_S = 60.0
_CALM_S = 1.0


@dataclass(slots=True)
class DelayHistory:
    """Round trips to one place: the shortest of two minutes stands for the empty link (RFC 6817, 2.4.2).

    The shortest of the last few counts as the present one: noise only ever adds to a round trip.
    """

    _windows: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_WINDOWS))
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=512))

    def add(self, now_s: float, rtt_s: float) -> None:
        """A round trip took `rtt_s`."""
        if not self._windows or now_s - self._windows[-1][0] >= _WINDOW_S:
            self._windows.append([now_s, rtt_s])
        self._windows[-1][1] = min(self._windows[-1][1], rtt_s)
        self._recent.append((now_s, rtt_s))
        # What lies before the window stays as its first: two round trips after a gap are no evidence.
        while len(self._recent) > _FEWEST and self._recent[1][0] <= now_s - _RECENT_S:
            self._recent.popleft()

    def forget_recent(self) -> None:
        """What was heard until now says nothing about the rate from now on."""
        self._recent.clear()

    @property
    def base_s(self) -> float:
        """The shortest round trip of late; infinity before the first."""
        return min((shortest for _, shortest in self._windows), default=math.inf)

    def queueing_s(self, now_s: float) -> float | None:
        """How long packets wait somewhere; None when too little was heard lately."""
        if len(self._recent) < _FEWEST or self._recent[-1][0] < now_s - _STALE_S:
            return None
        if self._recent[0][0] > now_s - _RECENT_S:
            return None
        return min(rtt_s for _, rtt_s in self._recent) - self.base_s


class AdaptiveRate:
    """A delay-based controller of a rate, after LEDBAT (RFC 6817) and, for how it grows, CUBIC (RFC 9438).

    Grows quickly until packets begin to wait, then multiplies down in proportion to how long they do, waits
    for round trips that know of it, and approaches the rate at which it happened along a cubic curve: fast,
    then slowly, then, if nothing waits any more, fast again. What is not used does not count as room.
    Where giving way to a sixteenth was in vain it goes on for a minute as if what waits were the empty link.

    Args:
        start_bytes_s: rate before the first round trips are known, and as long as none are.
        min_bytes_s: never below.
        max_bytes_s: never above.
    """

    def __init__(self, *, start_bytes_s: float, min_bytes_s: float, max_bytes_s: float) -> None:
        self._min = min_bytes_s
        self._max = max(max_bytes_s, min_bytes_s)
        self._rate = min(max(start_bytes_s, self._min), self._max)
        self._full = self._rate
        self._starting = True
        self._sources: dict[Hashable, DelayHistory] = {}
        self._growing_s = 0.0
        self._turned_s = -math.inf
        self._deaf_until_s = -math.inf
        self._waited_s = 0.0
        self._tolerated_s = 0.0
        self._tolerated_until_s = -math.inf
        self._stirred_s = -math.inf
        self._waiting = False
        self._heard = 0
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
        """How long packets wait on the way now, where that is seen most."""
        seen = [history.queueing_s(now_s) for history in self._sources.values()]
        return max((s for s in seen if s is not None), default=None)

    def took(self, n_bytes: int) -> None:
        """So much was sent."""
        self._taken += n_bytes

    def observe(self, now_s: float, rtt_s: float, source: Hashable = None) -> None:
        """A round trip to `source` took `rtt_s`."""
        if source not in self._sources and len(self._sources) >= _SOURCES:
            del self._sources[next(iter(self._sources))]
        if math.isinf(self._turned_s):
            self._turned_s = now_s
        history = self._sources.setdefault(source, DelayHistory())
        history.add(now_s, rtt_s)
        if now_s < self._deaf_until_s:
            history.forget_recent()
            return
        self._heard += 1
        queueing_s = self.queueing_s(now_s)
        if queueing_s is None:
            return
        queueing_s = self._ours(now_s, queueing_s)
        if queueing_s > TARGET_QUEUEING_S:
            self._give_way(now_s, queueing_s)
            return
        self._waiting = False
        if now_s - self._turned_s >= _INTERVAL_S and self._heard >= _FEWEST:
            self._grow(now_s, queueing_s)

    def _ours(self, now_s: float, queueing_s: float) -> float:
        # What stays when this sender gives way is not its queue: a busy machine, or others who take all.
        if queueing_s > TARGET_QUEUEING_S / 2:
            self._stirred_s = now_s
        elif now_s - self._stirred_s > _CALM_S:
            self._tolerated_s = 0.0
        if now_s > self._tolerated_until_s:
            self._tolerated_s = 0.0
        return max(0.0, queueing_s - self._tolerated_s)

    def _give_way(self, now_s: float, queueing_s: float) -> None:
        if not self._waiting:
            overshot = self._starting and self._rate < self._max
            self._rate = self._full = self._rate / (_STARTING_STEP if overshot else 1)
        draining = self._waiting and queueing_s < _DRAINING * self._waited_s
        self._waiting, self._waited_s = True, queueing_s
        self._starting, self._growing_s = False, 0.0
        if not draining and self._rate <= max(self._full * _IN_VAIN, self._min):
            self._tolerated_s += queueing_s
            self._tolerated_until_s = now_s + _TOLERANCE_S
            self._waiting = False
            self._rate = self._full
        elif not draining:
            share = max(_SEVEREST, _MILDEST ** (queueing_s / TARGET_QUEUEING_S))
            self._rate = max(self._min, self._rate * share)
        self._turn(now_s)
        self._deaf_until_s = now_s + (self.base_rtt_s or 0.0) + queueing_s
        for history in self._sources.values():
            history.forget_recent()

    def _grow(self, now_s: float, queueing_s: float) -> None:
        elapsed_s = now_s - self._turned_s
        in_use = self._taken > _IN_USE * self._rate * elapsed_s
        self._turn(now_s)
        if not in_use:
            return
        self._growing_s += elapsed_s
        most = self._rate * (_STARTING_STEP if elapsed_s < _BLIND_S else _BLIND_STEP)
        if self._starting:
            wanted = most
        elif self._growing_s > _RETURN_AFTER_S and queueing_s < TARGET_QUEUEING_S / 4:
            wanted = self._rate * _RETURNING_STEP
        else:
            wanted = self._full * (1 + _CURVATURE * (self._growing_s - _PLATEAU_S) ** 3)
        self._rate = min(max(wanted, self._rate), most, self._max)

    def _turn(self, now_s: float) -> None:
        self._turned_s, self._heard, self._taken = now_s, 0, 0
