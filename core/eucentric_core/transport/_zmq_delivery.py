"""What a data server sends to its subscribers: references in bursts, whole messages, or chunks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

import zmq

from ._pacing import Pacer
from ._zmq_chunks import WHOLE_BYTES, ChunkSender
from ._zmq_parts import send_parts
from ._zmq_slots import SharedSlot, SlotDesk
from ._zmq_subscription import Message, Subscription

__all__ = ["Delivery"]

_Parts = list[bytes | memoryview | zmq.Frame]

_log = logging.getLogger(__name__)


class Delivery:
    """Sends through a data server's socket. For the server's thread alone.

    Args:
        router: the socket.
        subscribers: of the server, by identity; who has to wait for the pacer goes to the end.
        slots: that are lent to readers on this machine.
        pacer: grants what leaves the machine.
        forget: drops a subscriber that cannot be reached; None if there was none of that identity.
    """

    def __init__(
        self,
        router: zmq.Socket[bytes],
        subscribers: dict[bytes, Subscription],
        slots: SlotDesk,
        pacer: Pacer,
        forget: Callable[[bytes], Subscription | None],
    ) -> None:
        self._router = router
        self._subscribers = subscribers
        self._slots = slots
        self._pacer = pacer
        self._forget = forget

    def deliver(self, subscriber: Subscription) -> float:
        """Send what may be sent; how long until the pacer grants more (s), if anything waits for that."""
        if subscriber.chunks is not None:
            return self._deliver_in_chunks(subscriber, subscriber.chunks)
        references: _Parts = []
        while (message := subscriber.take()) is not None:
            reference = self._reference(subscriber, message)
            if reference is not None:
                references += [reference, message.header]
                continue
            if references and not self.send(subscriber.identity, [b"slot", *references]):
                return math.inf
            references = []
            if not self.send(subscriber.identity, _whole(message)):
                return math.inf
        if references:
            self.send(subscriber.identity, [b"slot", *references])
        return math.inf

    def _deliver_in_chunks(self, subscriber: Subscription, chunks: ChunkSender) -> float:
        while chunks.may_send:
            transfer = chunks.transfer
            if transfer is None:
                message = subscriber.take()
                if message is None:
                    return math.inf
                if message.n_bytes <= WHOLE_BYTES:
                    if not self.send(subscriber.identity, _whole(message)):
                        return math.inf
                    continue
                transfer = chunks.begin(message.stream, message.header, message.payload)
            n_bytes = transfer.next_bytes(self._pacer.piece_bytes)
            wait_s = self._pacer.try_take(n_bytes)
            if wait_s > 0:
                # The next turn begins with somebody else.
                self._subscribers[subscriber.identity] = self._subscribers.pop(subscriber.identity)
                return wait_s
            subscriber.line.follow(self._pacer)
            if not self.send(subscriber.identity, transfer.next(n_bytes)):
                return math.inf
            chunks.sent(transfer, n_bytes, time.monotonic())
        return math.inf

    def _reference(self, subscriber: Subscription, message: Message) -> bytes | None:
        """To the slot that a message's array lies in; None if this subscriber gets a copy."""
        slot = message.payload
        if not isinstance(slot, SharedSlot) or subscriber.reader is None:
            return None
        ticket = self._slots.lend(subscriber.reader, slot)
        return None if ticket is None else ticket.pack(message.stream.encode())

    def send(self, identity: bytes, message: Sequence[bytes | memoryview | zmq.Frame]) -> bool:
        """Send one message; False if that subscriber is gone, which is forgotten then."""
        try:
            send_parts(self._router, [identity, *message])
        except zmq.ZMQError as error:
            # Only this one subscriber is gone; its next request is answered with "unknown".
            if self._forget(identity) is not None:
                _log.warning("subscriber dropped: %s", error)
            return False
        return True


def _whole(message: Message) -> _Parts:
    return [b"data", message.stream.encode(), message.header, message.frame()]
