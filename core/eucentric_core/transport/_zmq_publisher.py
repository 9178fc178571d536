"""The producing end inside a service: hands messages to the process that serves them."""

from __future__ import annotations

import threading

import numpy as np
import zmq

from .._errors import TransportError
from .._event import Event
from .._frame import StreamHeader
from ._zmq_message import EVENT_STREAM

__all__ = ["StreamPublisher"]

_QUEUED_MESSAGES = 4


class StreamPublisher:
    """Sends to the ingest endpoint of a `DataServer`. Any thread may publish.

    The queue is short on purpose: when a lossless consumer is slow, `publish` blocks, and so the
    acquisition slows down instead of losing a frame.
    """

    def __init__(self, endpoint: str, *, context: zmq.Context[zmq.Socket[bytes]], timeout_s: float = 60.0) -> None:
        self._lock = threading.Lock()
        self._timeout_s = timeout_s
        self._socket = context.socket(zmq.PUSH)
        self._socket.set_hwm(_QUEUED_MESSAGES)
        self._socket.setsockopt(zmq.LINGER, 2000)
        self._socket.setsockopt(zmq.SNDTIMEO, int(timeout_s * 1000))
        self._socket.connect(endpoint)

    def publish(self, header: StreamHeader, array: np.ndarray) -> None:
        """Send one array; it must not be changed afterwards, because it is not copied.

        Raises:
            TransportError: no consumer took it within the time-out.
        """
        contiguous = np.ascontiguousarray(array)
        self._send(header.stream.encode(), header.model_dump_json().encode(), memoryview(contiguous).cast("B")
                   if contiguous.size else b"")

    def publish_event(self, event: Event) -> None:
        """Send one event.

        Raises:
            TransportError: no consumer took it within the time-out.
        """
        self._send(EVENT_STREAM.encode(), event.model_dump_json().encode(), b"")

    def _send(self, stream: bytes, header: bytes, payload: memoryview | bytes) -> None:
        try:
            with self._lock:
                self._socket.send_multipart([stream, header, payload], copy=False)
        except zmq.Again as error:
            raise TransportError(
                f"Nobody took a message of stream {stream.decode()!r} for {self._timeout_s:g} s.",
                safe="the message was not acknowledged; acquisition stands still.",
                next_step="see the log of the data service: a recorder or disk is not keeping up.",
            ) from error

    def close(self) -> None:
        """Close the socket, giving queued messages two seconds to leave."""
        with self._lock:
            self._socket.close()
