"""What every long-running service does at its start and at its end."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from _thread import start_new_thread
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pydantic import JsonValue

from ._files import write_atomic

__all__ = ["ServiceLifetime", "service_lifetime"]

_log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 0.5


class _Told(threading.Event):
    """An event that a signal sets, also one that came just before a wait without end.

    The handler runs when the main thread runs Python again, and a thread that waits in the kernel does not. A
    signal interrupts that wait only if it comes to this very thread, after the wait has begun.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether the event is set, at the latest after `timeout` seconds."""
        deadline_s = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left_s = deadline_s - time.monotonic()
            if super().wait(max(0.0, min(left_s, _LONGEST_WAIT_S))) or left_s <= _LONGEST_WAIT_S:
                return self.is_set()


class ServiceLifetime:
    """Tells a service when to stop and the outside when it is ready."""

    def __init__(self, ready_file: Path) -> None:
        self._ready_file = ready_file
        self.stopping: threading.Event = _Told()

    def announce_ready(self, facts: Mapping[str, JsonValue]) -> None:
        """Write `<home>/run/<service>.json`: the service answers from now on."""
        write_atomic(self._ready_file, json.dumps({"pid": os.getpid(), **facts}).encode())
        _log.info("ready", extra={"facts": dict(facts)})


@contextmanager
def service_lifetime(service: str, home: Path) -> Iterator[ServiceLifetime]:
    """Turn SIGTERM and SIGINT into `stopping`, and remove the ready file at the end.

    Must be entered on the main thread. A service that is killed leaves its ready file behind: it names the
    process, so that a reader can tell.
    """
    ready_file = home / "run" / f"{service}.json"
    ready_file.parent.mkdir(parents=True, exist_ok=True)
    ready_file.unlink(missing_ok=True)
    lifetime = ServiceLifetime(ready_file)

    def stop(number: int, _frame: FrameType | None) -> None:
        # Setting the event here could wait for ever: the interrupted thread may hold the event's own lock.
        start_new_thread(lifetime.stopping.set, ())

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lifetime
    finally:
        ready_file.unlink(missing_ok=True)
        for number, handler in previous.items():
            signal.signal(number, handler)
        _log.info("stopped")
