"""How fast shards leave, and how far the present one has got."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from eucentric_transfer import Progress

__all__ = ["Reading", "ShippingMeter"]

_WINDOW_S = 30.0
_SAMPLE_S = 0.5
_MAX_FILES = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter shows: the file on its way, if any, and bytes per second over the last half minute."""

    name: str | None
    sent_bytes: int
    size_bytes: int
    rate_bytes_per_s: float | None


class ShippingMeter:
    """Give `seen` to a mover (`MoverOptions.on_progress`). Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, Progress] = {}
        self._current: Progress | None = None
        self._total_bytes = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def seen(self, progress: Progress) -> None:
        """A file has got further; back to less when a piece of it is sent again."""
        with self._lock:
            before = self._files.pop(progress.name, None)
            self._total_bytes += max(0, progress.sent_bytes - (before.sent_bytes if before else 0))
            if progress.sent_bytes < progress.size_bytes:
                if len(self._files) >= _MAX_FILES:
                    self._files.pop(next(iter(self._files)))
                self._files[progress.name] = progress
            self._current = progress
            now_s = time.monotonic()
            if now_s - self._samples[-1][0] >= _SAMPLE_S:
                self._samples.append((now_s, self._total_bytes))
                while len(self._samples) > 2 and now_s - self._samples[0][0] > _WINDOW_S:
                    self._samples.popleft()

    def rest(self) -> None:
        """Nothing is on its way."""
        with self._lock:
            self._files.clear()
            self._current = None

    def read(self) -> Reading:
        """What it shows now."""
        with self._lock:
            now = self._current
            (then_s, then_bytes), now_s = self._samples[0], time.monotonic()
            sent = self._total_bytes - then_bytes
            rate = sent / (now_s - then_s) if sent and now_s - then_s >= _SAMPLE_S else None
        if now is None:
            return Reading(None, 0, 0, rate)
        return Reading(now.name, now.sent_bytes, now.size_bytes, rate)
