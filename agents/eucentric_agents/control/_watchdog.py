"""The watchdog inside the agent: lease lost or beam on for too long, and the instrument is made safe."""

from __future__ import annotations

import logging
import threading

from ._dispatcher import Dispatcher

__all__ = ["Watchdog"]

POLL_S = 0.05

_log = logging.getLogger(__name__)


class Watchdog:
    """Looks at lease and unblank limit twenty times a second, on a thread that does nothing else."""

    def __init__(self, dispatcher: Dispatcher, *, poll_s: float = POLL_S) -> None:
        self._dispatcher = dispatcher
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_s):
            try:
                self._dispatcher.enforce_limits()
            except Exception:  # noqa: BLE001
                # A watchdog that dies of an error watches nothing: it says so and tries again.
                _log.exception("the instrument could not be made safe; trying again")
                self._stopping.wait(1.0)
