"""Events that must not make their sender wait, such as a watchdog's."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from eucentric_core import EucentricError, Event

__all__ = ["EventOutbox"]

_CAPACITY = 64

_log = logging.getLogger(__name__)


class EventOutbox:
    """Sends events from a thread of its own; one that cannot be sent is in the log."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._waiting: queue.Queue[Event | None] = queue.Queue(maxsize=_CAPACITY)
        self._thread = threading.Thread(target=self._run, name="event-outbox", daemon=True)
        self._thread.start()

    def announce(self, event: Event) -> None:
        """Send an event soon; returns at once."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            _log.error("event not sent, the outbox is full: %s", event.model_dump_json())

    def close(self) -> None:
        """Send what is waiting, for at most two seconds, and stop."""
        try:
            self._waiting.put(None, timeout=1.0)
        except queue.Full:
            _log.error("%d events were not sent", self._waiting.qsize())
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._publish(event)
            except EucentricError as error:
                _log.error("event not sent: %s: %s", event.model_dump_json(), error)
