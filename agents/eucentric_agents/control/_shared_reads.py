"""One reading of a device answers everybody who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from eucentric_core.vocabulary import Command, CommandResult

__all__ = ["SharedReads"]


class SharedReads:
    """Submits a reading, or joins one that has not begun. Any thread may use it.

    So no more than one of a kind waits for its turn, however many people look, and nobody gets a reading
    that began before they asked.

    Args:
        submit: lets work be done in turn, on a thread of the device's.
        read: reads.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], CommandResult]], Future[CommandResult]],
        read: Callable[[Command], CommandResult],
    ) -> None:
        self._submit = submit
        self._read = read
        self._lock = threading.Lock()
        self._waiting: dict[Command, Future[CommandResult]] = {}

    def ask(self, command: Command) -> Future[CommandResult]:
        """The reading to come. Whoever gives up waiting leaves it to the others."""
        with self._lock:
            waiting = self._waiting.get(command)
            if waiting is None or waiting.cancelled():
                waiting = self._waiting[command] = self._submit(lambda: self._begin(command))
            return waiting

    def _begin(self, command: Command) -> CommandResult:
        with self._lock:
            self._waiting.pop(command, None)
        return self._read(command)
