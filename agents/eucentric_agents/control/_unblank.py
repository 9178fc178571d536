"""How long the beam may still be on the specimen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["UnblankTimer"]


class UnblankTimer:
    """Remembers when the beam must be blanked again. Any thread may use it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: float | None = None

    def start(self, duration_s: float) -> None:
        """The beam may be on for this long from now; replaces an earlier limit."""
        with self._lock:
            self._until_s = self._clock() + duration_s

    def clear(self) -> None:
        """The beam is blanked."""
        with self._lock:
            self._until_s = None

    @property
    def due(self) -> bool:
        """Whether the beam must be blanked now."""
        with self._lock:
            return self._until_s is not None and self._clock() >= self._until_s
