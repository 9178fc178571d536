"""How far the engine has come: what it orders because of an event goes to Prefect before the event itself."""

from __future__ import annotations

import threading

__all__ = ["Considered"]

_AT_MOST_S = 0.5


class Considered:
    """Position in the outbox up to which policies were asked, and their orders given.

    An event keeps Prefect busy for a while, and a local one then refuses to make a flow run. Safe to use from
    several threads.
    """

    def __init__(self) -> None:
        self._position = 0
        self._moved = threading.Condition()

    def note(self, position: int) -> None:
        """The engine has come so far."""
        with self._moved:
            self._position = position
            self._moved.notify_all()

    def wait(self, position: int, *, at_most_s: float = _AT_MOST_S) -> None:
        """Wait until the engine has come so far; not for long, because it may wait for Prefect itself."""
        with self._moved:
            self._moved.wait_for(lambda: self._position >= position, at_most_s)
