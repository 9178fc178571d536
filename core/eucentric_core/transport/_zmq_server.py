"""The data channel's serving end: lossless streams by credit, newest-only streams for viewers."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq

from .._errors import ConfigurationError
from ._network import require_loopback
from ._protocols import SubscriptionMode

__all__ = ["SUBSCRIPTION_EXPIRY_S", "DataServer"]

SUBSCRIPTION_EXPIRY_S = 10.0
"""A subscriber that is silent for this long is forgotten, and no longer holds the source back."""

_BACKLOG_MESSAGES = 32
_MAX_SUBSCRIBERS = 64
_MAX_REQUEST_BYTES = 64 << 10

_log = logging.getLogger(__name__)


@dataclass
class _Subscriber:
    identity: bytes
    streams: frozenset[str]
    mode: SubscriptionMode
    credit: int
    last_seen: float
    backlog: deque[Sequence[Any]] = field(default_factory=deque)
    newest: dict[bytes, Sequence[Any]] = field(default_factory=dict)

    def wants(self, stream: str) -> bool:
        return not self.streams or stream in self.streams

    @property
    def holds_source_back(self) -> bool:
        return self.mode == "lossless" and len(self.backlog) >= _BACKLOG_MESSAGES

    def offer(self, message: Sequence[Any], stream: bytes) -> None:
        if self.mode == "lossless":
            self.backlog.append(message)
        else:
            self.newest[stream] = message

    def take(self) -> Sequence[Any] | None:
        if self.credit <= 0:
            return None
        if self.backlog:
            return self.backlog.popleft()
        if self.newest:
            return self.newest.pop(next(iter(self.newest)))
        return None


class DataServer:
    """Fans messages out from an ingest endpoint to subscribers. Run `serve` in a thread or process.

    While a lossless subscriber's backlog is full nothing more is read from the ingest endpoint, so
    the source feels the pressure. Without keys only loopback addresses are served.

    Raises:
        ConfigurationError: the port is in use, or the address is not loopback.
    """

    def __init__(
        self, *, host: str, port: int, ingest_endpoint: str, context: zmq.Context[zmq.Socket[bytes]]
    ) -> None:
        require_loopback(host, "data")
        self._subscribers: dict[bytes, _Subscriber] = {}
        self._ingest = context.socket(zmq.PULL)
        self._ingest.set_hwm(_BACKLOG_MESSAGES)
        self._ingest.bind(ingest_endpoint)
        self._router = context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.LINGER, 1000)
        try:
            self._router.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            self._ingest.close()
            self._router.close()
            raise ConfigurationError(
                f"Port {port} on {host}, wanted for the data channel, is in use.",
                safe="nothing was started.",
                next_step="stop the program that holds it, or choose another port in the settings.",
                port=port,
            ) from error
        self._stop_endpoint = f"inproc://stop-{id(self)}"
        self._stop_receiver = context.socket(zmq.PULL)
        self._stop_receiver.bind(self._stop_endpoint)
        self._context = context

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._stop_receiver, zmq.POLLIN)
        try:
            while True:
                if any(subscriber.holds_source_back for subscriber in self._subscribers.values()):
                    poller.unregister(self._ingest) if self._ingest in poller else None
                elif self._ingest not in poller:
                    poller.register(self._ingest, zmq.POLLIN)
                ready = dict(poller.poll(timeout=1000))
                if self._stop_receiver in ready:
                    return
                if self._router in ready:
                    self._answer()
                if self._ingest in ready:
                    self._fan_out()
                self._deliver()
                self._expire()
        finally:
            for socket in (self._ingest, self._router, self._stop_receiver):
                socket.close()

    def stop(self) -> None:
        """Make `serve` return."""
        sender = self._context.socket(zmq.PUSH)
        sender.connect(self._stop_endpoint)
        sender.send(b"")
        sender.close()

    def _answer(self) -> None:
        identity, *parts = self._router.recv_multipart()
        try:
            request = json.loads(parts[0]) if len(parts) == 1 and len(parts[0]) <= _MAX_REQUEST_BYTES else {}
            operation = request["op"]
            if operation == "subscribe":
                self._subscribe(identity, request)
            elif operation in ("alive", "credit"):
                subscriber = self._subscribers.get(identity)
                if subscriber is None:
                    self._send(identity, [b"unknown"])
                    return
                subscriber.last_seen = time.monotonic()
                subscriber.credit += int(request.get("n", 0))
                if operation == "alive":
                    self._send(identity, [b"alive"])
            elif operation == "unsubscribe":
                self._subscribers.pop(identity, None)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("malformed request on the data channel ignored: %s", error)

    def _subscribe(self, identity: bytes, request: dict[str, Any]) -> None:
        if len(self._subscribers) >= _MAX_SUBSCRIBERS and identity not in self._subscribers:
            self._send(identity, [b"full"])
            return
        mode: SubscriptionMode = "lossless" if request["mode"] == "lossless" else "newest"
        self._subscribers[identity] = _Subscriber(
            identity, frozenset(map(str, request["streams"])), mode, int(request["credit"]), time.monotonic()
        )
        self._send(identity, [b"subscribed"])
        _log.info("subscribed: %s %s, %d subscribers", mode, request["streams"], len(self._subscribers))

    def _fan_out(self) -> None:
        stream_part, header, payload = self._ingest.recv_multipart(copy=False)
        stream = bytes(stream_part.buffer)
        message = [b"data", stream_part, header, payload]
        for subscriber in self._subscribers.values():
            if subscriber.wants(stream.decode()):
                subscriber.offer(message, stream)

    def _deliver(self) -> None:
        for subscriber in list(self._subscribers.values()):
            while (message := subscriber.take()) is not None:
                subscriber.credit -= 1
                if not self._send(subscriber.identity, message):
                    break

    def _send(self, identity: bytes, message: Sequence[Any]) -> bool:
        try:
            self._router.send_multipart([identity, *message], copy=False, flags=zmq.NOBLOCK)
        except zmq.ZMQError as error:
            # Only this one subscriber is gone; its next request is answered with "unknown".
            _log.warning("subscriber dropped: %s", error)
            self._subscribers.pop(identity, None)
            return False
        return True

    def _expire(self) -> None:
        deadline = time.monotonic() - SUBSCRIPTION_EXPIRY_S
        for subscriber in [s for s in self._subscribers.values() if s.last_seen < deadline]:
            _log.warning("subscription expired with %d messages undelivered", len(subscriber.backlog))
            del self._subscribers[subscriber.identity]
