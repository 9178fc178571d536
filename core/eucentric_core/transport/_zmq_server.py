"""The data channel's serving end: lossless streams by credit, newest-only streams for viewers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import zmq

from ._curve_gate import CurveGate
from ._curve_keys import KeyRing
from ._marking import BULK_DSCP
from ._network import cannot_listen, require_loopback
from ._pacing import UNPACED, Pacer
from ._zmq_binding import bind, endpoint_of
from ._zmq_desk import SubscriberDesk
from ._zmq_intake import Intake
from ._zmq_line import Line
from ._zmq_parts import receive_parts
from ._zmq_protocol import HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, MAX_REQUEST_BYTES
from ._zmq_slots import SlotDesk
from ._zmq_status import DataServerStatus
from ._zmq_subscription import QUIET_S

__all__ = ["SUBSCRIPTION_EXPIRY_S", "DataServer"]

SUBSCRIPTION_EXPIRY_S = 10.0
"""A subscriber that is silent for this long is forgotten, and no longer holds the source back."""

_LINGER_MS = 1000
_TURN_MESSAGES = 16
_LONGEST_WAIT_S = 60.0


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
        bulk_dscp: mark of packets that leave the machine.
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
        bulk_dscp: int = BULK_DSCP,
        leaves_machine: Callable[[Line], bool] = lambda line: line.leaves_machine,
    ) -> None:
        if keys is None:
            require_loopback(host, "data")
        self._expiry_s = expiry_s
        self._encrypted = keys is not None
        self._gate: CurveGate | None = None
        self._slots = SlotDesk()
        self._quiet_since_s: float | None = None
        self._wake_lock = threading.Lock()
        self._sockets: list[zmq.Socket[bytes]] = []
        try:
            self._intake = Intake(context, ingest_endpoint, self._slots)
            self._sockets.append(self._intake.socket)
            self._router = self._socket(context, zmq.ROUTER)
            if keys is not None:
                self._gate = CurveGate(context, keys)
                self._sockets.append(self._gate.socket)
                self._gate.guard(self._router)
            self._bind_router(host, port)
            self._wake_receiver = self._socket(context, zmq.PAIR)
            self._wake_sender = self._socket(context, zmq.PAIR)
        except BaseException:
            self._close_sockets()
            raise
        wake_endpoint = f"inproc://wake-{uuid4().hex}"
        self._wake_receiver.bind(wake_endpoint)
        self._wake_sender.connect(wake_endpoint)
        self._desk = SubscriberDesk(
            self._router,
            self._slots,
            pacer,
            keys=keys,
            leaves_machine=leaves_machine,
            bulk_dscp=bulk_dscp,
            expiry_s=expiry_s,
        )

    def _socket(self, context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        self._sockets.append(socket)
        return socket

    def _close_sockets(self) -> None:
        for socket in self._sockets:
            socket.close()

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
        return self._intake.endpoint

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._wake_receiver, zmq.POLLIN)
        if self._gate is not None:
            poller.register(self._gate.socket, zmq.POLLIN)
        granted_in_s = math.inf
        try:
            while True:
                self._hold_back_or_release(poller)
                ready = dict(poller.poll(timeout=self._longest_wait_ms(granted_in_s)))
                if self._wake_receiver in ready:
                    return
                if self._gate is not None and self._gate.socket in ready:
                    self._gate.answer()
                if self._router in ready:
                    self._answer_all()
                if self._intake.socket in ready:
                    self._quiet_since_s = None
                    self._fan_out_all()
                elif self._quiet_since_s is None and self._intake.socket in poller:
                    self._quiet_since_s = time.monotonic()
                granted_in_s = self._desk.deliver(self._quiet_since_s)
                self._desk.expire()
        finally:
            with self._wake_lock:
                self._desk.close()
                self._close_sockets()

    def _longest_wait_ms(self, granted_in_s: float) -> int:
        quiet_s = QUIET_S / 2 if self._desk.waits_for_quiet else _LONGEST_WAIT_S
        return math.ceil(min(self._expiry_s / 10, granted_in_s, quiet_s) * 1000)

    def stop(self) -> None:
        """Make `serve` return. May be called from any thread, at any time, more than once."""
        with self._wake_lock:
            if not self._wake_sender.closed:
                self._wake_sender.send(b"")

    def _hold_back_or_release(self, poller: zmq.Poller) -> None:
        hold_back = self._desk.note_holding()
        if hold_back and self._intake.socket in poller:
            poller.unregister(self._intake.socket)
        elif not hold_back and self._intake.socket not in poller:
            poller.register(self._intake.socket, zmq.POLLIN)
            self._quiet_since_s = None

    def status(self) -> DataServerStatus:
        """What it does now. May be called from any thread."""
        subscribers, held_back_s = self._desk.status()
        return DataServerStatus(
            subscribers=subscribers,
            received_messages=self._intake.received_messages,
            received_bytes=self._intake.received_bytes,
            held_back_s=held_back_s,
            slots_lent=self._slots.lent,
            encrypted=self._encrypted,
        )

    def _answer_all(self) -> None:
        for _ in range(_TURN_MESSAGES):
            try:
                parts = receive_parts(self._router)
            except zmq.Again:
                return
            self._desk.answer(parts[0].bytes, parts[1:])

    def _fan_out_all(self) -> None:
        self._slots.take_back()
        for _ in range(_TURN_MESSAGES):
            try:
                message, new_ring = self._intake.take()
            except zmq.Again:
                return
            if new_ring is not None:
                self._desk.invite(new_ring)
            if message is not None:
                self._desk.offer(message)
                if self._desk.holds_source_back:
                    return
