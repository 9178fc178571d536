"""What the edge has done so far, in bounded memory, readable while it works."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

import numpy as np
from pydantic import JsonValue

__all__ = ["Statistics"]

_LATENCY_WINDOW_FRAMES = 1000


class Statistics:
    """Counters since the start, and latency percentiles over the last 1000 frames."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latencies_s: deque[float] = deque(maxlen=_LATENCY_WINDOW_FRAMES)
        self._stages_s: deque[Mapping[str, float]] = deque(maxlen=_LATENCY_WINDOW_FRAMES)
        self._received = 0
        self._answered = 0
        self._refused = 0
        self._sequence_gaps = 0
        self._last: tuple[str, str, int] | None = None
        self._last_refusal: str | None = None

    def frame_received(self) -> None:
        """Count a message of the source stream, whatever is in it."""
        with self._lock:
            self._received += 1

    def frame_identified(self, instrument: str, session: str, sequence: int) -> None:
        """Count sequence numbers that were skipped within a session."""
        with self._lock:
            if self._last is not None and self._last[:2] == (instrument, session):
                self._sequence_gaps += max(0, sequence - self._last[2] - 1)
            self._last = (instrument, session, sequence)

    def frame_answered(self, latency_s: float, stages_s: Mapping[str, float]) -> None:
        """Count a frame whose results were published; latency from its receipt to its result, by stage."""
        with self._lock:
            self._answered += 1
            self._latencies_s.append(latency_s)
            self._stages_s.append(stages_s)

    def frame_refused(self, reason: str) -> None:
        """Count a frame that could not be analysed."""
        with self._lock:
            self._refused += 1
            self._last_refusal = reason

    def report(self) -> dict[str, JsonValue]:
        """All of it as plain JSON; times in seconds."""
        with self._lock:
            latencies_s = np.array(self._latencies_s)
            stages_s = list(self._stages_s)
            facts: dict[str, JsonValue] = {
                "frames_received": self._received,
                "frames_answered": self._answered,
                "frames_refused": self._refused,
                "sequence_gaps": self._sequence_gaps,
                "last_sequence": None if self._last is None else self._last[2],
                "last_refusal": self._last_refusal,
            }
        p50_s, p99_s = np.percentile(latencies_s, [50, 99]).tolist() if latencies_s.size else (None, None)
        by_stage: dict[str, list[float]] = {}
        for stages in stages_s:
            for name, took_s in stages.items():
                by_stage.setdefault(name, []).append(took_s)
        return {
            **facts,
            "latency_p50_s": p50_s,
            "latency_p99_s": p99_s,
            "latency_frames": latencies_s.size,
            "stages_p50_s": {name: float(np.median(took_s)) for name, took_s in by_stage.items()},
        }
