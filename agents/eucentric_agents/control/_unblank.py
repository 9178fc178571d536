"""How long the beam may still be on the specimen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["UnblankTimer"]


class UnblankTimer:
    """Remembers when the beam must be blanked again. Any thread may use it.

    Blanking and unblanking may reach the driver at the same time, in an order that nobody knows: a
    limit that was set since the blanking began stays in force.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._starts = 0

    def start(self, duration_s: float) -> None:
        """The beam may be on for this long from now; replaces an earlier limit."""
        with self._lock:
            self._starts += 1
            self._until_s = self._clock() + duration_s

    def blanking(self) -> Callable[[], None]:
        """The driver is about to be told to blank; call what this returns once it has."""
        began = self._starts

        def blanked() -> None:
            with self._lock:
                if self._starts == began:
                    self._until_s = None

        return blanked

    @property
    def running(self) -> bool:
        """Whether the beam may be on."""
        with self._lock:
            return self._until_s is not None

    @property
    def due(self) -> bool:
        """Whether the beam must be blanked now."""
        with self._lock:
            return self._until_s is not None and self._clock() >= self._until_s
