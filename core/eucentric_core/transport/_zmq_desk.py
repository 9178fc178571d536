"""A data server's subscribers: who they are, what they ask for, and what each is sent."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

import zmq
from pydantic import ValidationError

from ._curve_keys import KeyRing
from ._pacing import Pacer
from ._zmq_chunks import ChunkSender
from ._zmq_delivery import Delivery
from ._zmq_line import Line, sender_key
from ._zmq_protocol import (
    MAX_CREDIT,
    ChunkTaken,
    Credit,
    Drain,
    KeepAlive,
    Mapped,
    Subscribe,
    Unsubscribe,
    parse_request,
)
from ._zmq_slots import SlotDesk
from ._zmq_status import SubscriberStatus
from ._zmq_subscription import Message, Subscription

__all__ = ["SubscriberDesk"]

_MAX_SUBSCRIBERS = 64
_TIDY_S = 1.0

_log = logging.getLogger(__name__)


class SubscriberDesk:
    """Answers subscribers and sends them what they may have. For the server's thread; `status` for any.

    Args:
        router: the socket that they come by.
        slots: of shared memory, for those on this machine.
        pacer: grants what leaves the machine.
        keys: that may connect; None: there are none.
        leaves_machine: which connections are to another machine.
        bulk_dscp: mark of what goes there.
        expiry_s: silence after which a subscriber is forgotten (s).
    """

    def __init__(
        self,
        router: zmq.Socket[bytes],
        slots: SlotDesk,
        pacer: Pacer,
        *,
        keys: KeyRing | None,
        leaves_machine: Callable[[Line], bool],
        bulk_dscp: int,
        expiry_s: float,
    ) -> None:
        self._slots = slots
        self._pacer = pacer
        self._keys = keys
        self._leaves_machine = leaves_machine
        self._bulk_dscp = bulk_dscp
        self._expiry_s = expiry_s
        self._subscribers: dict[bytes, Subscription] = {}
        self._delivery = Delivery(router, self._subscribers, slots, pacer, self._forget)
        self._held_back_s = 0.0
        self._next_tidy = 0.0

    @property
    def holds_source_back(self) -> bool:
        """Whether nothing more may be read from the producers now."""
        return any(subscriber.holds_source_back for subscriber in self._subscribers.values())

    @property
    def waits_for_quiet(self) -> bool:
        """Whether somebody has asked for the moment when there is nothing more for him."""
        return any(subscriber.drain is not None for subscriber in self._subscribers.values())

    def note_holding(self) -> bool:
        """Note who holds the source back from now on, and who no more; whether somebody does."""
        holds_back = False
        for subscriber in self._subscribers.values():
            if not subscriber.holds_source_back:
                self._note_release(subscriber)
            else:
                holds_back = True
                if subscriber.holds_back_since is None:
                    subscriber.holds_back_since = time.monotonic()
        return holds_back

    def _note_release(self, subscriber: Subscription) -> None:
        if subscriber.holds_back_since is not None:
            self._held_back_s += time.monotonic() - subscriber.holds_back_since
            subscriber.holds_back_since = None

    def offer(self, message: Message) -> None:
        """Keep a message for everybody who wants it."""
        for subscriber in self._subscribers.values():
            subscriber.offer(message)

    def invite(self, ring: str) -> None:
        """Tell everybody on this machine of a new ring of shared memory."""
        for subscriber in list(self._subscribers.values()):
            self._invite(subscriber, ring)

    def _invite(self, subscriber: Subscription, ring: str) -> None:
        if subscriber.reader is not None:
            self._delivery.send(subscriber.identity, [b"ring", ring.encode()])

    def deliver(self, quiet_since_s: float | None) -> float:
        """Send what may be sent; how long until the pacer grants more (s), if anything waits for that.

        Args:
            quiet_since_s: since when there is nothing from producers (monotonic); None: there may be more.
        """
        granted_in_s = math.inf
        for subscriber in list(self._subscribers.values()):
            if self._still_admits(subscriber):
                granted_in_s = min(granted_in_s, self._delivery.deliver(subscriber))
                self._answer_drained(subscriber, quiet_since_s)
        return granted_in_s

    def _answer_drained(self, subscriber: Subscription, quiet_since_s: float | None) -> None:
        if subscriber.is_drained(time.monotonic(), quiet_since_s) and subscriber.drain is not None:
            number, subscriber.drain = subscriber.drain, None
            self._delivery.send(subscriber.identity, [b"drained", b"%d" % number])

    def answer(self, identity: bytes, parts: Sequence[zmq.Frame]) -> None:
        """Do what a subscriber's message asks for."""
        key = sender_key(parts) if self._keys is not None else None
        if self._keys is not None and (key is None or self._keys.holder_of(key) is None):
            self._cut_off(identity)
            return
        try:
            request = parse_request(b"".join(part.bytes for part in parts))
        except ValidationError as error:
            _log.warning("malformed request on the data channel ignored: %s", error.errors()[0]["msg"])
            return
        match request:
            case Subscribe():
                self._subscribe(identity, request, Line.of(parts, key))
            case KeepAlive() | Credit() | Drain():
                self._renew(identity, request)
            case ChunkTaken():
                self._chunk_taken(identity, request)
            case Mapped():
                subscriber = self._subscribers.get(identity)
                if subscriber is not None and subscriber.reader is not None:
                    self._slots.confirm(subscriber.reader, request)
            case Unsubscribe():
                self._forget(identity)

    def _subscribe(self, identity: bytes, request: Subscribe, line: Line) -> None:
        if len(self._subscribers) >= _MAX_SUBSCRIBERS and identity not in self._subscribers:
            _log.warning("subscription refused: there are %d already", _MAX_SUBSCRIBERS)
            self._delivery.send(identity, [b"full"])
            line.let_go()
            return
        self._forget(identity)
        leaves = self._leaves_machine(line)
        if leaves:
            line.mark(self._bulk_dscp)
        subscriber = self._subscribers[identity] = Subscription(
            identity,
            request.generation,
            request.streams,
            request.mode,
            request.credit,
            time.monotonic(),
            line=line,
            chunks=ChunkSender() if leaves else None,
            reader=None if request.reader is None else self._slots.open_reader(request.reader),
        )
        self._delivery.send(identity, [b"subscribed"])
        for ring in self._slots.rings:
            self._invite(subscriber, ring)
        _log.info(
            "subscribed: %s %s, %d subscribers", request.mode, sorted(request.streams), len(self._subscribers)
        )

    def _renew(self, identity: bytes, request: KeepAlive | Credit | Drain) -> None:
        subscriber = self._subscribers.get(identity)
        if subscriber is None:
            self._delivery.send(identity, [b"unknown", b"%d" % request.generation])
            return
        subscriber.last_seen = time.monotonic()
        if isinstance(request, KeepAlive):
            self._delivery.send(identity, [b"alive"])
        elif request.generation != subscriber.generation:
            return
        elif isinstance(request, Drain):
            subscriber.ask_drained(request.number)
        else:
            subscriber.credit = min(subscriber.credit + request.messages, MAX_CREDIT)

    def _chunk_taken(self, identity: bytes, taken: ChunkTaken) -> None:
        subscriber = self._subscribers.get(identity)
        if subscriber is None or subscriber.chunks is None or taken.generation != subscriber.generation:
            return
        now_s = subscriber.last_seen = time.monotonic()
        round_trip_s = subscriber.chunks.acknowledged(taken.number, taken.until, now_s)
        if round_trip_s is not None:
            self._pacer.observe_rtt(round_trip_s, subscriber.line.address)

    def _forget(self, identity: bytes) -> Subscription | None:
        subscriber = self._subscribers.pop(identity, None)
        if subscriber is not None:
            self._note_release(subscriber)
            subscriber.line.let_go()
        return subscriber

    def _still_admits(self, subscriber: Subscription) -> bool:
        key = subscriber.line.key
        if self._keys is None or (key is not None and self._keys.holder_of(key) is not None):
            return True
        self._cut_off(subscriber.identity)
        return False

    def _cut_off(self, identity: bytes) -> None:
        """A key does not count any more: end the connection with whatever is on its way."""
        subscriber = self._subscribers.pop(identity, None)
        if subscriber is not None:
            _log.warning("a subscriber's key does not count any more; its connection was cut")
            self._note_release(subscriber)
            subscriber.line.cut()

    def expire(self) -> None:
        """Forget who has been silent for too long, and whose key does not count any more."""
        now = time.monotonic()
        deadline = now - self._expiry_s
        for subscriber in [s for s in self._subscribers.values() if s.last_seen < deadline]:
            _log.warning("subscription expired with %d messages undelivered", len(subscriber.backlog))
            self._forget(subscriber.identity)
        if now >= self._next_tidy:
            for subscriber in list(self._subscribers.values()):
                self._still_admits(subscriber)
            self._next_tidy = now + min(_TIDY_S, self._expiry_s / 2)
            self._slots.tidy({id(s.reader) for s in self._subscribers.values()})

    def status(self) -> tuple[tuple[SubscriberStatus, ...], float]:
        """Every subscriber; and how long the source was held back, all in all (s)."""
        now_s, keys = time.monotonic(), self._keys
        subscribers = tuple(
            s.status(now_s, None if keys is None or s.line.key is None else keys.holder_of(s.line.key))
            for s in list(self._subscribers.values())
        )
        return subscribers, self._held_back_s + sum(s.holds_back_s or 0.0 for s in subscribers)

    def close(self) -> None:
        """Give every connection's second handle back."""
        for subscriber in self._subscribers.values():
            subscriber.line.let_go()
