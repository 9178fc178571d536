"""Answers already given, so that a command delivered twice is carried out once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Future

from eucentric_core import CommandEnvelope, CommandRefusedError
from eucentric_core.vocabulary import Command, CommandResult

__all__ = ["AnswerCache"]

_Key = tuple[Hashable, str]


class AnswerCache:
    """Remembers the outcome of the last commands by client and idempotency key. Any thread may use it."""

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[Hashable, str], tuple[Command, Future[CommandResult]]] = (
            OrderedDict()
        )

    def claim(self, client: Hashable, envelope: CommandEnvelope) -> tuple[Future[CommandResult], bool]:
        """The future answer to a command, and whether the caller is the one to carry it out.

        Raises:
            CommandRefusedError: the key was used for a different command.
        """
        key = (client, envelope.idempotency_key)
        with self._lock:
            if key in self._entries:
                command, answer = self._entries[key]
                if command != envelope.command:
                    raise CommandRefusedError(
                        f"Idempotency key {envelope.idempotency_key!r} was used for another command.",
                        safe="nothing was changed.",
                        next_step="give every command a key of its own.",
                    )
                return answer, False
            answer = Future()
            self._entries[key] = (envelope.command, answer)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
            return answer, True

    def forget(self, client: Hashable, envelope: CommandEnvelope) -> None:
        """The command did not reach the instrument: the same key may try again."""
        with self._lock:
            self._entries.pop((client, envelope.idempotency_key), None)
