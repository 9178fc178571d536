"""The data channel's receiving end."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

import zmq

from .._errors import DataFormatError, NotAuthorisedError, ServiceUnavailableError
from .._settings import is_loopback
from ._curve_access import ChannelAccess
from ._curve_keys import ClientKeys
from ._heap import LARGE_BYTES, keep_freed_memory
from ._protocols import SubscriptionMode
from ._zmq_chunks import ChunkAssembler
from ._zmq_dealer import open_dealer, say
from ._zmq_lodger import SlotLodger
from ._zmq_message import Payload, StreamMessage
from ._zmq_parts import receive_parts
from ._zmq_protocol import MAX_CREDIT, ChunkTaken, Credit, Drain, KeepAlive, Subscribe, Unsubscribe
from ._zmq_server import SUBSCRIPTION_EXPIRY_S
from ._zmq_window import CreditWindow

__all__ = ["StreamSubscriber"]

_KEYS = b"keys"
_DRAIN = b"drain"
_WAIT_S = 0.05
_CREDIT_PARTS = 4
_CREDIT_PARTS_BESIDE = 2

_log = logging.getLogger(__name__)


class StreamSubscriber:
    """Receives messages of some streams (of all, if none is named).

    A background thread owns the socket and keeps the subscription alive, so that a slow consumer
    is never mistaken for a dead one. At most `credit` messages wait here. Each received message
    must be acknowledged with `acknowledge` once it is dealt with (for a recorder: once it is
    durable); only then is another one sent. After a restart of the server the subscription is
    renewed by itself; what was missed shows as a gap in the sequence numbers.

    Args:
        host: of the data server.
        port: of the data server.
        streams: names of the wanted streams; none means all.
        mode: `lossless` or `newest`, see `SubscriptionMode`.
        credit: messages that may be on their way or unacknowledged at a time, 1 to 512.
        window_bytes: how many bytes of them; of large messages fewer are let come than the credit says.
        window_s: how long one of them may wait here (s); of messages that take their consumer long fewer are
            let come, one at least.
        context: ZeroMQ context, by default that of the process.
        expiry_s: silence after which the server counts as gone (s); keep-alives go out five times as often.
        shared_memory: have arrays where they lie, if the server is on this machine. They stay valid for as
            long as anything refers to them; what does not fit is copied.
        access: gets the keys, where the data channel has some.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        streams: Sequence[str] = (),
        mode: SubscriptionMode,
        credit: int = 16,
        window_bytes: int | None = None,
        window_s: float | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        expiry_s: float = SUBSCRIPTION_EXPIRY_S,
        shared_memory: bool = True,
        access: ChannelAccess | None = None,
    ) -> None:
        if not 1 <= credit <= MAX_CREDIT:
            raise ValueError(f"credit {credit} is not between 1 and {MAX_CREDIT}")
        self._where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._expiry_s = expiry_s
        self._context = context or zmq.Context.instance()
        self._chunks = ChunkAssembler()
        self._slots = SlotLodger(enabled=shared_memory and is_loopback(host))
        self._credit = credit
        self._window = CreditWindow(credit, window_bytes, window_s)
        self._request = Subscribe(
            generation=1,
            streams=frozenset(streams),
            mode=mode,
            credit=self._window.granted,
            reader=self._slots.renew(),
        )
        self._unsaid = 0
        self._received: queue.SimpleQueue[StreamMessage | None] = queue.SimpleQueue()
        self._taken: list[StreamMessage] = []
        self._requests_lock = threading.Lock()
        self._subscribed = threading.Event()
        self._full = False
        self._closed = False
        self._drain_asked = 0
        self._drain_answered = 0
        self._access = access
        self._keys: ClientKeys | None = None
        self._last_heard = time.monotonic()
        endpoint = f"inproc://subscriber-{uuid4().hex}"
        self._requests_out = self._context.socket(zmq.PAIR)
        self._requests_out.bind(endpoint)
        self._requests_in = self._context.socket(zmq.PAIR)
        self._requests_in.connect(endpoint)
        self._thread = threading.Thread(target=self._run, name=f"subscriber-{self._where}", daemon=True)
        self._thread.start()
        if access is not None:
            access.attach(self, self._keys_changed)

    def _keys_changed(self) -> None:
        with self._requests_lock:
            if not self._closed:
                self._requests_out.send(_KEYS)

    def wait_subscribed(self, timeout_s: float) -> None:
        """Wait until the server has confirmed the subscription.

        Raises:
            ServiceUnavailableError: it did not within the time-out.
            NotAuthorisedError: the service does not give us its keys.
        """
        deadline = time.monotonic() + timeout_s
        while not self._subscribed.wait(min(_WAIT_S, max(0.0, deadline - time.monotonic()))):
            refusal = None if self._access is None else self._access.error
            late = time.monotonic() >= deadline
            if isinstance(refusal, NotAuthorisedError) or (refusal is not None and late):
                raise refusal
            if late:
                break
        else:
            return
        if self._full:
            raise ServiceUnavailableError(
                f"The data service at {self._where} has no room for another subscriber.",
                safe="nothing was changed.",
                next_step="close a viewer that is not needed; the subscription is tried again by itself.",
            )
        raise ServiceUnavailableError(
            f"No data service answers at {self._where} within {timeout_s:g} s.",
            safe="nothing was changed.",
            next_step="check that the service runs and the data port is right.",
        )

    def receive(self, timeout_s: float) -> StreamMessage | None:
        """The next message, or None: none came in time, or `wake` was called and none waits here.

        Raises:
            ServiceUnavailableError: the server itself has been silent for too long.
        """
        try:
            message = self._received.get(timeout=timeout_s)
        except queue.Empty:
            silent_s = time.monotonic() - self._last_heard
            if silent_s > self._expiry_s + timeout_s:
                raise ServiceUnavailableError(
                    f"The data service at {self._where} has been silent for {silent_s:.0f} s.",
                    safe="what was received is complete up to its last sequence number.",
                    next_step="check that the service runs; the subscription renews itself when it is back.",
                ) from None
            return None
        with suppress(queue.Empty):
            while message is None:
                message = self._received.get_nowait()
        return message

    def wake(self) -> None:
        """Let `receive` return without a message, now or when it is called next. Any thread."""
        self._received.put(None)

    def acknowledge(self, messages: int = 1, *, at_once: bool = False) -> None:
        """Say that messages are dealt with; as many more may be sent. After `close` it has no effect.

        Args:
            messages: how many.
            at_once: tell the server now, not with others later: for who acknowledges many together.
        """
        with self._requests_lock:
            self._unsaid += messages
            # A part of the credit at a time: the server is told less often, and never runs dry. A larger part
            # beside it, where the answer takes no time and mostly goes with the next burst.
            part = _CREDIT_PARTS if self._request.reader is None else _CREDIT_PARTS_BESIDE
            if not self._closed and (at_once or self._unsaid * part >= self._window.granted):
                self._requests_out.send(str(self._unsaid).encode())
                self._unsaid = 0

    def ask_drained(self) -> None:
        """Ask the server to say when there is nothing more for us, see `is_drained`. Go on acknowledging."""
        with self._requests_lock:
            if not self._closed:
                self._drain_asked += 1
                self._requests_out.send(_DRAIN)

    def is_drained(self) -> bool:
        """Whether everything that producers had sent when `ask_drained` was called has come, or waits here.

        It counts what the server and its sockets hold, for every mode and stream of this subscription. It is
        never so while another subscriber holds the producers back, or while the server does not answer.
        """
        return 0 < self._drain_asked == self._drain_answered

    def close(self) -> None:
        """End the subscription. What waits here can still be received."""
        with self._requests_lock:
            if self._closed:
                return
            self._closed = True
            self._requests_out.send(b"")
        if self._access is not None:
            self._access.detach(self)
        self._thread.join()
        self._requests_out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        keep_alive_s = self._expiry_s / 5
        poller = zmq.Poller()
        poller.register(self._requests_in, zmq.POLLIN)
        dealer = None if self._access is not None else self._connect(poller, None)
        try:
            next_alive = time.monotonic() + keep_alive_s
            while True:
                ready = dict(poller.poll(timeout=math.ceil(max(next_alive - time.monotonic(), 0) * 1000)))
                if self._requests_in in ready:
                    acknowledged, has_new_keys, asks, ends = self._requests()
                    if ends:
                        if dealer is not None:
                            say(dealer, Unsubscribe())
                        return
                    if has_new_keys:
                        dealer = self._reconnect(poller, dealer)
                    if dealer is not None:
                        self._return_credit(dealer, acknowledged)
                        if asks:
                            self._ask_drained(dealer)
                if dealer is not None and dealer in ready:
                    self._take_all(dealer)
                if time.monotonic() >= next_alive:
                    next_alive = time.monotonic() + keep_alive_s
                    if dealer is not None:
                        say(dealer, KeepAlive(generation=self._request.generation))
                    if self._access is not None and time.monotonic() - self._last_heard > keep_alive_s * 1.5:
                        self._access.ask_again()
        finally:
            if dealer is not None:
                dealer.close()
            self._requests_in.close()
            self._slots.close()

    def _connect(self, poller: zmq.Poller, keys: ClientKeys | None) -> zmq.Socket[bytes]:
        dealer = open_dealer(self._context, self._where, keys)
        poller.register(dealer, zmq.POLLIN)
        say(dealer, self._request)
        return dealer

    def _reconnect(self, poller: zmq.Poller, dealer: zmq.Socket[bytes] | None) -> zmq.Socket[bytes] | None:
        """The connection with the keys that count now; the present one, if they are the same."""
        opening = None if self._access is None else self._access.opening
        if self._access is None or opening is None:
            return dealer
        keys = self._access.keys(opening)
        if dealer is not None:
            if keys == self._keys:
                return dealer
            poller.unregister(dealer)
            dealer.close(linger=0)
            self._renew_request()
        self._keys = keys
        return self._connect(poller, keys)

    def _renew_request(self) -> None:
        self._request = self._request.model_copy(
            update={
                "generation": self._request.generation + 1,
                "credit": self._window.room,
                "reader": self._slots.renew(),
            }
        )

    def _ask_drained(self, dealer: zmq.Socket[bytes]) -> None:
        if self._drain_asked > self._drain_answered:
            say(dealer, Drain(generation=self._request.generation, number=self._drain_asked))

    def _requests(self) -> tuple[int, bool, bool, bool]:
        """Messages acknowledged since the last call; are there new keys, a question, is this the end?"""
        acknowledged, has_new_keys, asks = 0, False, False
        while True:
            try:
                request = self._requests_in.recv(zmq.NOBLOCK)
            except zmq.Again:
                return acknowledged, has_new_keys, asks, False
            if not request:
                return acknowledged, has_new_keys, asks, True
            if request == _KEYS:
                has_new_keys = True
            elif request == _DRAIN:
                asks = True
            else:
                acknowledged += int(request)

    def _return_credit(self, dealer: zmq.Socket[bytes], acknowledged: int) -> None:
        given = self._window.acknowledged(acknowledged, now_s=time.monotonic())
        if given > 0:
            say(dealer, Credit(generation=self._request.generation, messages=given))

    def _take_all(self, dealer: zmq.Socket[bytes]) -> None:
        """Take what is there, and hand it over at once: each hand-over wakes the consumer's thread."""
        try:
            with suppress(zmq.Again):
                for _ in range(self._credit):
                    self._take(dealer, *receive_parts(dealer))
        finally:
            self._hand_over()
        with self._requests_lock:
            acknowledged = self._unsaid if self._unsaid * _CREDIT_PARTS >= self._window.granted else 0
            self._unsaid -= acknowledged
        self._return_credit(dealer, acknowledged)

    def _hand_over(self) -> None:
        for message in self._taken:
            self._received.put(message)
        self._taken.clear()

    def _take(self, dealer: zmq.Socket[bytes], kind: zmq.Frame, *parts: zmq.Frame) -> None:
        self._last_heard = time.monotonic()
        match kind.bytes, [*parts]:
            case b"data", [stream, header, payload]:
                if len(payload) >= LARGE_BYTES:
                    keep_freed_memory()
                self._keep(stream.bytes, header, payload)
            case b"slot", [_, _, *_] if len(parts) % 2 == 0:
                for ticket, header in zip(parts[::2], parts[1::2], strict=True):
                    self._take_slot(dealer, ticket, header)
            case b"chunk", [mark, chunk, *first]:
                self._take_chunk(dealer, mark, chunk, *first)
            case b"ring", [name]:
                mapped = self._slots.map_ring(name.bytes)
                if mapped is not None:
                    say(dealer, mapped)
            case b"subscribed", []:
                self._full = False
                self._subscribed.set()
                self._ask_drained(dealer)
            case b"drained", [number] if number.bytes.isdigit():
                # Behind everything that it speaks of: that must be there for whoever looks.
                self._hand_over()
                self._drain_answered = int(number.bytes)
            case b"unknown", [generation] if generation.bytes == b"%d" % self._request.generation:
                self._renew_request()
                say(dealer, self._request)
            case b"full", []:
                self._full = True
            case _:
                # `alive`, which only says that the server is there, or an answer to what no longer counts.
                return

    def _take_slot(self, dealer: zmq.Socket[bytes], ticket: zmq.Frame, header: zmq.Frame) -> None:
        lodged = self._slots.take(ticket.bytes)
        if lodged is not None:
            stream, payload, checksum = lodged
            self._keep(stream, header, payload, checksum)
        else:
            # It was counted as sent: without this a lossless stream would stand still.
            say(dealer, Credit(generation=self._request.generation, messages=1))

    def _take_chunk(self, dealer: zmq.Socket[bytes], mark: zmq.Frame, *parts: zmq.Frame) -> None:
        generation = self._request.generation
        try:
            number, until, complete = self._chunks.take(mark.bytes, *parts)
        except DataFormatError as error:
            _log.error("%s", error)
            # The message counts as sent: without this a lossless stream would stand still.
            say(dealer, Credit(generation=generation, messages=1))
            return
        say(dealer, ChunkTaken(generation=generation, number=number, until=until))
        if complete is not None:
            self._keep(*complete)

    def _keep(self, stream: bytes, header: zmq.Frame, payload: Payload, checksum: int | None = None) -> None:
        if self._received.qsize() + len(self._taken) >= self._credit:
            _log.error("the data service at %s sent more than its credit; a message was dropped", self._where)
            return
        self._taken.append(StreamMessage(stream.decode(), header.bytes, payload, checksum))
        self._window.received(len(payload.buffer), now_s=self._last_heard)
