"""What a data server knows of one subscriber, and which message is next for it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import zmq

from ._protocols import SubscriptionMode
from ._shm_held import LentSlots
from ._zmq_chunks import ChunkSender
from ._zmq_line import Line
from ._zmq_slots import SharedSlot
from ._zmq_status import SubscriberStatus

__all__ = ["BACKLOG_MESSAGES", "QUIET_S", "Message", "Subscription"]

BACKLOG_MESSAGES = 32
BACKLOG_BYTES = 32 << 20
"""A lossless subscriber with this much to come holds the source back."""

QUIET_S = 0.1
"""Nothing is on its way from producers on this machine if nothing has come for this long."""


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
    chunks: ChunkSender | None = None
    """None: on this machine, and sent whole messages."""
    delivered_messages: int = 0
    delivered_bytes: int = 0
    holds_back_since: float | None = None
    drain: int | None = None
    """Number of its question whether there is anything more for it."""
    drain_asked_s: float = 0.0

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
        self.delivered_messages += 1
        self.delivered_bytes += message.n_bytes
        return message

    def ask_drained(self, number: int) -> None:
        """Note that it wants to know when there is nothing more for it."""
        self.drain, self.drain_asked_s = number, time.monotonic()

    def is_drained(self, now_s: float, quiet_since_s: float | None) -> bool:
        """Whether it has asked, was sent everything, and the producers have been quiet for a while since."""
        if self.drain is None or quiet_since_s is None or self.backlog or self.newest:
            return False
        if self.chunks is not None and self.chunks.transfer is not None:
            return False
        return now_s - max(quiet_since_s, self.drain_asked_s) >= QUIET_S

    def status(self, now_s: float, holder: str | None) -> SubscriberStatus:
        """What there is to say about it."""
        since = self.holds_back_since
        return SubscriberStatus(
            mode=self.mode,
            streams=tuple(sorted(self.streams)),
            address=self.line.address,
            holder=holder,
            shared_memory=self.reader is not None and bool(self.reader.rings),
            slots_held=0 if self.reader is None else len(self.reader),
            credit=self.credit,
            backlog_messages=len(self.backlog) + len(self.newest),
            backlog_bytes=self.backlog_bytes,
            delivered_messages=self.delivered_messages,
            delivered_bytes=self.delivered_bytes,
            holds_back_s=None if since is None else max(0.0, now_s - since),
            silent_s=max(0.0, now_s - self.last_seen),
        )
