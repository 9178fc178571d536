"""What a data server knows of one subscriber, and which message is next for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import zmq

from ._protocols import SubscriptionMode
from ._shm_held import LentSlots
from ._zmq_line import Line
from ._zmq_slots import SharedSlot

__all__ = ["BACKLOG_MESSAGES", "Message", "Subscription"]

BACKLOG_MESSAGES = 32
BACKLOG_BYTES = 32 << 20
"""A lossless subscriber with this much to come holds the source back."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message on its way through the server. Its array is not copied, however many want it."""

    stream: str
    header: zmq.Frame
    payload: zmq.Frame | SharedSlot

    @property
    def n_bytes(self) -> int:
        """Size of the array."""
        return self.payload.n_bytes if isinstance(self.payload, SharedSlot) else len(self.payload)

    def frame(self) -> zmq.Frame:
        """The array for a socket."""
        return self.payload.frame() if isinstance(self.payload, SharedSlot) else self.payload


@dataclass(eq=False)
class Subscription:
    """One subscriber: what it wants, what it may be sent, and what waits for it."""

    identity: bytes
    generation: int
    streams: frozenset[str]
    mode: SubscriptionMode
    credit: int
    last_seen: float
    line: Line
    reader: LentSlots | None = None
    backlog: deque[Message] = field(default_factory=deque)
    newest: dict[str, Message] = field(default_factory=dict)
    backlog_bytes: int = 0

    @property
    def holds_source_back(self) -> bool:
        """Whether nothing more may be read from the producers before this one has taken something."""
        return len(self.backlog) >= BACKLOG_MESSAGES or self.backlog_bytes >= BACKLOG_BYTES

    def offer(self, message: Message) -> None:
        """Keep a message for it, if it is of a stream that it wants."""
        if self.streams and message.stream not in self.streams:
            return
        if self.mode == "lossless":
            self.backlog.append(message)
            self.backlog_bytes += message.n_bytes
        else:
            self.newest[message.stream] = message

    def take(self) -> Message | None:
        """The next message, if it may have one; this spends its credit."""
        if self.credit <= 0:
            return None
        if self.backlog:
            message = self.backlog.popleft()
            self.backlog_bytes -= message.n_bytes
        elif self.newest:
            message = self.newest.pop(next(iter(self.newest)))
        else:
            return None
        self.credit -= 1
        return message
