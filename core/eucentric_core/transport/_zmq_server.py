"""The data channel's serving end: lossless streams by credit, newest-only streams for viewers."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit
from uuid import uuid4

import zmq
from pydantic import ValidationError

from ._curve_gate import CurveGate
from ._curve_keys import KeyRing
from ._network import cannot_listen, require_loopback
from ._pacing import UNPACED, Pacer
from ._shm_file import SharedMemoryError
from ._shm_ring import REFERENCE_BYTES
from ._zmq_binding import bind, endpoint_of
from ._zmq_chunks import ChunkSender
from ._zmq_delivery import Delivery
from ._zmq_line import Line, sender_key
from ._zmq_parts import receive_parts
from ._zmq_protocol import (
    HEARTBEAT_INTERVAL_MS,
    HEARTBEAT_TIMEOUT_MS,
    MAX_CREDIT,
    MAX_REQUEST_BYTES,
    ChunkTaken,
    Credit,
    KeepAlive,
    Mapped,
    Subscribe,
    Unsubscribe,
    parse_request,
)
from ._zmq_slots import SharedSlot, SlotDesk
from ._zmq_status import DataServerStatus
from ._zmq_subscription import BACKLOG_MESSAGES, Message, Subscription

__all__ = ["SUBSCRIPTION_EXPIRY_S", "DataServer"]

SUBSCRIPTION_EXPIRY_S = 10.0
"""A subscriber that is silent for this long is forgotten, and no longer holds the source back."""

_MAX_SUBSCRIBERS = 64
_LINGER_MS = 1000
_TIDY_S = 1.0
_TURN_MESSAGES = 16
_BURST_S = 0.001
_GATHER_S = 0.0005
_LONGEST_WAIT_S = 60.0

_log = logging.getLogger(__name__)


class DataServer:
    """Fans messages out from an ingest endpoint to subscribers. Run `serve` in a thread or process.

    While a lossless subscriber's backlog is full nothing more is read from the ingest endpoint, so
    the source feels the pressure. A newest-only subscriber gets the latest message of each of its
    streams, events included; who must not miss an event subscribes lossless. Without keys only
    loopback addresses are served.

    Args:
        host: where subscribers connect; loopback, unless there are `keys`.
        port: port for subscribers; 0 takes a free one, see `address`.
        ingest_endpoint: where publishers connect: `inproc://`, `ipc://`, or `tcp://` on loopback.
        context: ZeroMQ context; shared with the publishers if the endpoint is `inproc://`.
        expiry_s: silence after which a subscriber is forgotten (s).
        keys: that may connect, and the server's own; everything is encrypted then (CurveZMQ).
        pacer: grants what leaves the machine; what stays on it is never held back.
        leaves_machine: which subscribers are on another machine.

    Raises:
        ConfigurationError: a port is in use, or an address is not loopback.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        ingest_endpoint: str,
        context: zmq.Context[zmq.Socket[bytes]],
        expiry_s: float = SUBSCRIPTION_EXPIRY_S,
        keys: KeyRing | None = None,
        pacer: Pacer = UNPACED,
        leaves_machine: Callable[[Line], bool] = lambda line: line.leaves_machine,
    ) -> None:
        self._pacer = pacer
        self._leaves_machine = leaves_machine
        self._received_messages = 0
        self._received_bytes = 0
        self._held_back_s = 0.0
        if keys is None:
            require_loopback(host, "data")
        ingest = urlsplit(ingest_endpoint)
        if ingest.scheme == "tcp":
            require_loopback(ingest.hostname or "", "ingest")
        self._expiry_s = expiry_s
        self._subscribers: dict[bytes, Subscription] = {}
        self._keys = keys
        self._gate: CurveGate | None = None
        self._slots = SlotDesk()
        self._next_tidy = 0.0
        self._fanned_out_s = -math.inf
        self._ingest = context.socket(zmq.PULL)
        self._router = context.socket(zmq.ROUTER)
        self._delivery = Delivery(self._router, self._subscribers, self._slots, pacer, self._forget)
        self._wake_receiver = context.socket(zmq.PAIR)
        self._wake_sender = context.socket(zmq.PAIR)
        self._wake_lock = threading.Lock()
        try:
            if keys is not None:
                self._gate = CurveGate(context, keys)
                self._gate.guard(self._router)
            self._bind_ingest(ingest_endpoint, ingest.port if ingest.scheme == "tcp" else None)
            self._bind_router(host, port)
        except BaseException:
            self._close()
            raise
        wake_endpoint = f"inproc://wake-{uuid4().hex}"
        self._wake_receiver.bind(wake_endpoint)
        self._wake_sender.connect(wake_endpoint)

    def _bind_ingest(self, endpoint: str, port: int | None) -> None:
        self._ingest.set_hwm(BACKLOG_MESSAGES)
        try:
            bind(self._ingest, endpoint)
        except zmq.ZMQError as error:
            raise cannot_listen(endpoint, port or 0, "publishers", error.errno) from error

    def _bind_router(self, host: str, port: int) -> None:
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.LINGER, _LINGER_MS)
        self._router.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        # A peer whose machine or cable has gone is noticed in a minute, not by the kernel after a quarter of
        # an hour. Not sooner: on a slow link one large frame keeps everything else waiting.
        self._router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
        self._router.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        self._router.setsockopt(zmq.IPV6, int(":" in host))
        address = "127.0.0.1" if host == "localhost" else f"[{host}]" if ":" in host else host
        try:
            bind(self._router, f"tcp://{address}:{port}")
        except zmq.ZMQError as error:
            raise cannot_listen(host, port, "the data channel", error.errno) from error

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that subscribers connect to."""
        host, _, port = endpoint_of(self._router).removeprefix("tcp://").rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def ingest_endpoint(self) -> str:
        """Where publishers connect."""
        return endpoint_of(self._ingest)

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._wake_receiver, zmq.POLLIN)
        if self._gate is not None:
            poller.register(self._gate.socket, zmq.POLLIN)
        granted_in_ms = int(self._expiry_s * 100)
        try:
            while True:
                self._hold_back_or_release(poller)
                ready = dict(poller.poll(timeout=min(int(self._expiry_s * 100), granted_in_ms)))
                if self._wake_receiver in ready:
                    return
                if self._gate is not None and self._gate.socket in ready:
                    self._gate.answer()
                if self._router in ready:
                    self._answer_all()
                if self._ingest in ready:
                    self._gather()
                    self._fan_out_all()
                granted_in_ms = math.ceil(min(self._deliver(), _LONGEST_WAIT_S) * 1000)
                self._expire()
        finally:
            with self._wake_lock:
                self._close()

    def stop(self) -> None:
        """Make `serve` return. May be called from any thread, at any time, more than once."""
        with self._wake_lock:
            if not self._wake_sender.closed:
                self._wake_sender.send(b"")

    def _close(self) -> None:
        for subscriber in self._subscribers.values():
            subscriber.line.let_go()
        for socket in (self._ingest, self._router, self._wake_receiver, self._wake_sender):
            socket.close()
        if self._gate is not None:
            self._gate.socket.close()

    def _hold_back_or_release(self, poller: zmq.Poller) -> None:
        hold_back = False
        for subscriber in self._subscribers.values():
            if not subscriber.holds_source_back:
                self._note_release(subscriber)
            else:
                hold_back = True
                if subscriber.holds_back_since is None:
                    subscriber.holds_back_since = time.monotonic()
        if hold_back and self._ingest in poller:
            poller.unregister(self._ingest)
        elif not hold_back and self._ingest not in poller:
            poller.register(self._ingest, zmq.POLLIN)

    def _note_release(self, subscriber: Subscription) -> None:
        if subscriber.holds_back_since is not None:
            self._held_back_s += time.monotonic() - subscriber.holds_back_since
            subscriber.holds_back_since = None

    def status(self) -> DataServerStatus:
        """What it does now. May be called from any thread."""
        now_s, keys = time.monotonic(), self._keys
        subscribers = tuple(
            s.status(now_s, None if keys is None or s.line.key is None else keys.holder_of(s.line.key))
            for s in list(self._subscribers.values())
        )
        return DataServerStatus(
            subscribers=subscribers,
            received_messages=self._received_messages,
            received_bytes=self._received_bytes,
            held_back_s=self._held_back_s + sum(s.holds_back_s or 0.0 for s in subscribers),
            slots_lent=self._slots.lent,
            encrypted=keys is not None,
        )

    def _answer_all(self) -> None:
        for _ in range(_TURN_MESSAGES):
            try:
                parts = receive_parts(self._router)
            except zmq.Again:
                return
            self._answer(parts[0].bytes, parts[1:])

    def _answer(self, identity: bytes, parts: Sequence[zmq.Frame]) -> None:
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
            case KeepAlive() | Credit():
                self._renew(identity, request)
            case ChunkTaken():
                self._chunk_taken(identity, request)
            case Mapped():
                subscriber = self._subscribers.get(identity)
                if subscriber is not None and subscriber.reader is not None:
                    self._slots.confirm(subscriber.reader, request)
            case Unsubscribe():
                self._forget(identity)

    def _forget(self, identity: bytes) -> Subscription | None:
        subscriber = self._subscribers.pop(identity, None)
        if subscriber is not None:
            self._note_release(subscriber)
            subscriber.line.let_go()
        return subscriber

    def _chunk_taken(self, identity: bytes, taken: ChunkTaken) -> None:
        subscriber = self._subscribers.get(identity)
        if subscriber is None or subscriber.chunks is None or taken.generation != subscriber.generation:
            return
        now_s = subscriber.last_seen = time.monotonic()
        round_trip_s = subscriber.chunks.acknowledged(taken.number, taken.until, now_s)
        if round_trip_s is not None:
            self._pacer.observe_rtt(round_trip_s, subscriber.line.address)

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
            subscriber.line.cut()

    def _renew(self, identity: bytes, request: KeepAlive | Credit) -> None:
        subscriber = self._subscribers.get(identity)
        if subscriber is None:
            self._delivery.send(identity, [b"unknown", str(request.generation).encode()])
            return
        subscriber.last_seen = time.monotonic()
        if isinstance(request, KeepAlive):
            self._delivery.send(identity, [b"alive"])
        elif request.generation == subscriber.generation:
            subscriber.credit = min(subscriber.credit + request.messages, MAX_CREDIT)

    def _subscribe(self, identity: bytes, request: Subscribe, line: Line) -> None:
        if len(self._subscribers) >= _MAX_SUBSCRIBERS and identity not in self._subscribers:
            _log.warning("subscription refused: there are %d already", _MAX_SUBSCRIBERS)
            self._delivery.send(identity, [b"full"])
            line.let_go()
            return
        self._forget(identity)
        leaves = self._leaves_machine(line)
        if leaves:
            line.mark()
        self._subscribers[identity] = Subscription(
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
            self._invite(self._subscribers[identity], ring)
        _log.info(
            "subscribed: %s %s, %d subscribers", request.mode, sorted(request.streams), len(self._subscribers)
        )

    def _invite(self, subscriber: Subscription, ring: str) -> None:
        if subscriber.reader is not None:
            self._delivery.send(subscriber.identity, [b"ring", ring.encode()])

    def _fan_out_all(self) -> None:
        self._slots.take_back()
        for _ in range(_TURN_MESSAGES):
            try:
                parts = receive_parts(self._ingest)
            except zmq.Again:
                return
            self._fan_out(parts)
            if any(subscriber.holds_source_back for subscriber in self._subscribers.values()):
                return

    def _fan_out(self, parts: Sequence[zmq.Frame]) -> None:
        try:
            match parts:
                case [stream, header, payload]:
                    message = Message(stream.bytes.decode("ascii"), header, payload)
                case [reference, header]:
                    stream_of_slot, slot = self._take_slot(reference.bytes)
                    message = Message(stream_of_slot.decode("ascii"), header, slot)
                case _:
                    raise ValueError(f"it has {len(parts)} parts")
        except (ValueError, SharedMemoryError) as error:
            _log.warning("malformed message from a publisher dropped: %s", error)
            return
        self._received_messages += 1
        self._received_bytes += message.n_bytes
        for subscriber in self._subscribers.values():
            subscriber.offer(message)

    def _gather(self) -> None:
        """At a high rate let messages come together: waking three processes costs more than they do."""
        is_burst = time.monotonic() - self._fanned_out_s < _BURST_S
        # What goes to another machine is timed: the pacer reads the link's delay from its acknowledgements.
        # And who gets the bytes themselves is busy enough with them.
        if is_burst and all(subscriber.reads_in_place for subscriber in self._subscribers.values()):
            time.sleep(_GATHER_S)
        self._fanned_out_s = time.monotonic()

    def _take_slot(self, text: bytes) -> tuple[bytes, SharedSlot]:
        slot, is_new_ring = self._slots.take(text[:REFERENCE_BYTES])
        if is_new_ring:
            for subscriber in list(self._subscribers.values()):
                self._invite(subscriber, slot.ring.name)
        return text[REFERENCE_BYTES:], slot

    def _deliver(self) -> float:
        """Send what may be sent; how long until the pacer grants more (s), if anything waits for that."""
        granted_in_s = math.inf
        for subscriber in list(self._subscribers.values()):
            if self._still_admits(subscriber):
                granted_in_s = min(granted_in_s, self._delivery.deliver(subscriber))
        return granted_in_s

    def _expire(self) -> None:
        now = time.monotonic()
        deadline = now - self._expiry_s
        for subscriber in [s for s in self._subscribers.values() if s.last_seen < deadline]:
            _log.warning("subscription expired with %d messages undelivered", len(subscriber.backlog))
            self._forget(subscriber.identity)
        if now >= self._next_tidy:
            if self._keys is not None:
                for subscriber in list(self._subscribers.values()):
                    self._still_admits(subscriber)
            self._next_tidy = now + min(_TIDY_S, self._expiry_s / 2)
            self._slots.tidy({id(s.reader) for s in self._subscribers.values()})
