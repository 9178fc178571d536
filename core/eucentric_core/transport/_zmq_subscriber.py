"""The data channel's receiving end."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import zmq

from .._errors import ServiceUnavailableError
from ._protocols import SubscriptionMode
from ._zmq_message import StreamMessage
from ._zmq_server import SUBSCRIPTION_EXPIRY_S

__all__ = ["StreamSubscriber"]

_KEEP_ALIVE_S = 2.0


class StreamSubscriber:
    """Receives messages of some streams (of all, if none is named).

    A background thread owns the socket and keeps the subscription alive, so that a slow consumer
    is never mistaken for a dead one. At most `credit` messages wait here. Each received message
    must be acknowledged with `acknowledge` once it is dealt with (for a recorder: once it is
    durable); only then is another one sent. After a restart of the server the subscription is
    renewed by itself; what was missed shows as a gap in the sequence numbers.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        streams: Sequence[str] = (),
        mode: SubscriptionMode,
        credit: int = 16,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self._where = f"{host}:{port}"
        self._context = context or zmq.Context.instance()
        self._request = {"op": "subscribe", "streams": list(streams), "mode": mode, "credit": credit}
        self._received: queue.Queue[StreamMessage] = queue.Queue(maxsize=credit)
        self._credit_lock = threading.Lock()
        self._subscribed = threading.Event()
        self._closed = threading.Event()
        self._last_heard = time.monotonic()
        endpoint = f"inproc://subscriber-{id(self)}"
        self._requests_out = self._context.socket(zmq.PAIR)
        self._requests_out.bind(endpoint)
        self._requests_in = self._context.socket(zmq.PAIR)
        self._requests_in.connect(endpoint)
        self._thread = threading.Thread(target=self._run, name=f"subscriber-{self._where}", daemon=True)
        self._thread.start()

    def wait_subscribed(self, timeout_s: float) -> None:
        """Wait until the server has confirmed the subscription.

        Raises:
            ServiceUnavailableError: it did not within the time-out.
        """
        if not self._subscribed.wait(timeout_s):
            raise ServiceUnavailableError(
                f"No data service answers at {self._where} within {timeout_s:g} s.",
                safe="nothing was changed.",
                next_step="check that the service runs and the data port is right.",
            )

    def receive(self, timeout_s: float) -> StreamMessage | None:
        """The next message, or None if none came in time.

        Raises:
            ServiceUnavailableError: the server itself has been silent for too long.
        """
        try:
            return self._received.get(timeout=timeout_s)
        except queue.Empty:
            silent_s = time.monotonic() - self._last_heard
            if silent_s > SUBSCRIPTION_EXPIRY_S + timeout_s:
                raise ServiceUnavailableError(
                    f"The data service at {self._where} has been silent for {silent_s:.0f} s.",
                    safe="what was received is complete up to its last sequence number.",
                    next_step="check that the service runs; the subscription renews itself when it is back.",
                ) from None
            return None

    def acknowledge(self, messages: int = 1) -> None:
        """Say that messages are dealt with; as many more may be sent."""
        with self._credit_lock:
            self._requests_out.send(json.dumps({"op": "credit", "n": messages}).encode())

    def close(self) -> None:
        """End the subscription."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._credit_lock:
            self._requests_out.send(b"")
        self._thread.join(timeout=5)
        self._requests_out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        dealer = self._context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 500)
        dealer.connect(f"tcp://{self._where}")
        dealer.send_json(self._request)
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(self._requests_in, zmq.POLLIN)
        next_alive = time.monotonic() + _KEEP_ALIVE_S
        while not self._closed.is_set():
            ready = dict(poller.poll(timeout=500))
            if dealer in ready:
                self._take(dealer)
            if self._requests_in in ready and (request := self._requests_in.recv()):
                dealer.send(request)
            if time.monotonic() >= next_alive:
                dealer.send_json({"op": "alive"})
                next_alive = time.monotonic() + _KEEP_ALIVE_S
        dealer.send_json({"op": "unsubscribe"})
        dealer.close()
        self._requests_in.close()

    def _take(self, dealer: zmq.Socket[bytes]) -> None:
        kind, *parts = dealer.recv_multipart(copy=False)
        self._last_heard = time.monotonic()
        match bytes(kind.buffer):
            case b"data":
                stream, header, payload = parts
                self._received.put(
                    StreamMessage(bytes(stream.buffer).decode(), bytes(header.buffer), payload), timeout=60
                )
            case b"subscribed":
                self._subscribed.set()
            case b"unknown":
                # Waiting messages still hold their credit; ask only for what there is room for.
                room = self._received.maxsize - self._received.qsize()
                dealer.send_json({**self._request, "credit": room})
            case _:
                pass
