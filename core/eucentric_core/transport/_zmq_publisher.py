"""The producing end inside a service: hands messages to the process that serves them."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import numpy.typing as npt
import zmq

from .._errors import DataFormatError, TransportError
from .._event import Event
from .._frame import StreamHeader
from ._shm_file import SharedMemoryError
from ._shm_ring import RingWriter, SlotReference
from ._zmq_message import EVENT_STREAM
from ._zmq_parts import send_parts

__all__ = ["StreamPublisher"]

_QUEUED_MESSAGES = 4
_LINGER_MS = 2000
_CHECK_CLOSING_MS = 100
_SMALLEST_SHARED_BYTES = 32 << 10
_UNCOPIED_BYTES = 64 << 10
_POLLOUT = int(zmq.POLLOUT)
_MAX_RETIRED = 2
_DELIVERY_POLL_S = 0.005
_UNDELIVERED_SLOTS = 8
_UNDELIVERED_SMALL_SLOTS = 16
_SMALL_BYTES = 1 << 20
_SHORT_PAUSE_S = 0.0002
_SHORT_PAUSES_FOR_S = 0.005
_LONGEST_PAUSE_S = 0.005

_log = logging.getLogger(__name__)


class StreamPublisher:
    """Sends to the ingest endpoint of a `DataServer`. Any thread may publish.

    The queue is short on purpose: when a lossless consumer is slow, `publish` blocks, and so the
    acquisition slows down instead of losing a frame.

    Args:
        endpoint: the server's `ingest_endpoint`.
        context: ZeroMQ context; the server's own if the endpoint is `inproc://`.
        timeout_s: how long `publish` waits for room (s).
        ring_bytes: of shared memory for arrays on their way; 0 sends everything through the socket. What
            finds no place in it is sent through the socket, too.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        timeout_s: float = 60.0,
        ring_bytes: int = 0,
    ) -> None:
        self._ring_bytes = ring_bytes
        self._ring: RingWriter | None = None
        self._retired: list[RingWriter] = []
        self._lock = threading.Lock()
        self._timeout_s = timeout_s
        self._closing = threading.Event()
        self._socket = context.socket(zmq.PUSH)
        self._socket.set_hwm(_QUEUED_MESSAGES)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self._socket.connect(endpoint)

    def publish(self, header: StreamHeader, array: npt.NDArray[np.generic]) -> None:
        """Send one array; it must not be changed afterwards, because it may not be copied.

        Raises:
            DataFormatError: the array is not what the header announces.
            TransportError: no consumer took it within the time-out, or the publisher was closed.
        """
        if array.shape != header.shape or array.dtype != np.dtype(header.dtype):
            raise DataFormatError(
                f"Header announces {header.dtype}{list(header.shape)}, the array is "
                f"{array.dtype.str}{list(array.shape)}.",
                safe="the frame was not sent.",
                next_step="report this: the producer's header and array disagree.",
            )
        # A view of no bytes has no format that ZeroMQ could send.
        payload = memoryview(np.ascontiguousarray(array).data).cast("B") if array.size else memoryview(b"")
        self._send(header.stream, header.model_dump_json().encode(), payload)

    def publish_event(self, event: Event) -> None:
        """Send one event.

        Raises:
            TransportError: no consumer took it within the time-out, or the publisher was closed.
        """
        self._send(EVENT_STREAM, event.model_dump_json().encode(), memoryview(b""))

    def start_anew(self) -> None:
        """Count on another server from here on: slots that the former had not taken never come back."""
        with self._lock:
            if self._ring is not None:
                self._retired.append(self._ring)
                self._ring = None

    def _send(self, stream: str, header: bytes, payload: memoryview) -> None:
        deadline = time.monotonic() + self._timeout_s
        with self._lock:
            while not self._closing.is_set():
                if self._is_ready(payload.nbytes):
                    slot = self._share(payload)
                    if slot is None:
                        array = (
                            zmq.Frame(payload, copy=False) if payload.nbytes >= _UNCOPIED_BYTES else payload
                        )
                        send_parts(self._socket, [stream.encode(), header, array])
                    else:
                        send_parts(self._socket, [slot.pack() + stream.encode(), header])
                    return
                if time.monotonic() > deadline:
                    raise TransportError(
                        f"Nobody took a message of stream {stream!r} for {self._timeout_s:g} s.",
                        safe="the message was not sent; acquisition stands still.",
                        next_step="see the log of the data service: a recorder or disk is not keeping up.",
                    )
        raise TransportError(
            f"A message of stream {stream!r} was not sent: the publisher is closed.",
            safe="what was sent before is on its way.",
            next_step="none, if the service is stopping; otherwise report this.",
        )

    def _is_ready(self, n_bytes: int) -> bool:
        # References are small: the system's buffers would take thousands of them. What counts is how many
        # frames wait, whichever way they go.
        most = _UNDELIVERED_SMALL_SLOTS if n_bytes <= _SMALL_BYTES else _UNDELIVERED_SLOTS
        began_s = now_s = time.monotonic()
        pause_s = _SHORT_PAUSE_S
        while self._ring is not None and self._ring.undelivered >= most:
            if now_s - began_s > _CHECK_CLOSING_MS / 1000:
                return False
            # A server that keeps up takes the next burst within a millisecond; another makes us wait.
            time.sleep(pause_s)
            now_s = time.monotonic()
            if now_s - began_s > _SHORT_PAUSES_FOR_S:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        # Asking costs a fraction of waiting, and there is room nearly always.
        if int(self._socket.getsockopt(zmq.EVENTS)) & _POLLOUT:
            return True
        return bool(self._socket.poll(_CHECK_CLOSING_MS, zmq.POLLOUT))

    def _share(self, payload: memoryview) -> SlotReference | None:
        if not self._ring_bytes or payload.nbytes < _SMALLEST_SHARED_BYTES:
            return None
        try:
            if self._ring is None or self._ring.is_retired:
                self._renew_ring()
        except SharedMemoryError as error:
            _log.warning("frames go through the socket: %s", error)
            self._ring_bytes = 0
        return None if self._ring is None else self._ring.put(payload)

    def _renew_ring(self) -> None:
        # What the next server has still to fetch from a retired ring is opened by its name.
        if self._ring is not None:
            self._retired.append(self._ring)
            self._ring = None
        for ring in self._retired[:-_MAX_RETIRED] + [r for r in self._retired if not r.undelivered]:
            ring.close()
            if ring in self._retired:
                self._retired.remove(ring)
        self._ring = RingWriter(self._ring_bytes)

    def close(self) -> None:
        """Close the socket, giving queued messages two seconds to leave. Ends a `publish` that is waiting."""
        self._closing.set()
        with self._lock:
            self._socket.close()
            self._close_rings()

    def _close_rings(self) -> None:
        rings = [*self._retired, *([self._ring] if self._ring else [])]
        self._retired, self._ring = [], None
        deadline = time.monotonic() + _LINGER_MS / 1000
        while any(ring.undelivered for ring in rings) and time.monotonic() < deadline:
            time.sleep(_DELIVERY_POLL_S)
        for ring in rings:
            ring.close()
