"""The watchdog inside the agent: lease lost, holder silent, beam on for too long, a limit passed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ._dispatcher import Dispatcher

__all__ = ["Watchdog"]

POLL_S = 0.05
_AFTER_ERROR_S = 0.25

_log = logging.getLogger(__name__)


class Watchdog:
    """Looks at lease and unblank limit twenty times a second, on a thread that does nothing else.

    Reading the instrument for the interlocks can take its time, and has a thread of its own.
    """

    def __init__(self, dispatcher: Dispatcher, *, poll_s: float = POLL_S) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(look, pause_s), name=name, daemon=True)
            for name, look, pause_s in (
                ("watchdog", dispatcher.enforce_limits, poll_s),
                ("interlocks", dispatcher.watch_interlocks, poll_s),
            )
        ]

    def start(self) -> None:
        """Start watching."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self, look: Callable[[], None], pause_s: float) -> None:
        while not self._stopping.wait(pause_s):
            try:
                look()
            except Exception:  # noqa: BLE001
                # A watchdog that dies of an error watches nothing: it says so and tries again.
                _log.exception("what the watchdog had to do failed; trying again")
                self._stopping.wait(_AFTER_ERROR_S)
