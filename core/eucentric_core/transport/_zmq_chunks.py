"""Large messages to another machine in pieces: the pacer grants them, the subscriber acknowledges each."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from .._errors import DataFormatError
from .._frame import MAX_FRAME_BYTES
from ._heap import LARGE_BYTES, keep_freed_memory
from ._zmq_message import ArrayPayload
from ._zmq_slots import SharedSlot

__all__ = ["WHOLE_BYTES", "ChunkAssembler", "ChunkSender", "ChunkTransfer"]

WHOLE_BYTES = 16 << 10
"""Smaller arrays are sent as one message."""

_WINDOW_BYTES = 4 << 20
_MAX_CHUNK_BYTES = 256 << 10
_MARK = struct.Struct("<QQQ")
"""Number of the transfer, offset of the chunk, size of the array."""


class ChunkTransfer:
    """One array on its way.

    Args:
        number: of the transfer, rising.
        stream: of the message.
        header: of the message.
        payload: the array, which stays where it is until the last chunk has gone.
    """

    def __init__(self, number: int, stream: str, header: zmq.Frame, payload: zmq.Frame | SharedSlot) -> None:
        self.number = number
        self._first = [stream.encode(), header]
        self._payload = payload
        self._buffer = payload.buffer() if isinstance(payload, SharedSlot) else payload.buffer
        self.n_bytes = self._buffer.nbytes
        self.offset = 0

    @property
    def is_done(self) -> bool:
        """Whether every chunk was sent."""
        return self.offset >= self.n_bytes

    def next_bytes(self, piece_bytes: int) -> int:
        """Size of the next chunk, if pieces of that size are granted."""
        return min(max(1, piece_bytes), _MAX_CHUNK_BYTES, self.n_bytes - self.offset)

    def next(self, n_bytes: int) -> list[Any]:
        """The parts of the next chunk's message."""
        mark = _MARK.pack(self.number, self.offset, self.n_bytes)
        chunk = zmq.Frame(self._buffer[self.offset : self.offset + n_bytes], copy=False)
        parts: list[Any] = [b"chunk", mark, chunk]
        if self.offset == 0:
            parts += self._first
        self.offset += n_bytes
        return parts


@dataclass(eq=False)
class ChunkSender:
    """What one subscriber is being sent in chunks, and what of it is not acknowledged yet."""

    transfer: ChunkTransfer | None = None
    in_flight_bytes: int = 0
    _started: int = 0
    _in_flight: deque[tuple[int, int, int, float]] = field(default_factory=deque)

    @property
    def may_send(self) -> bool:
        """Whether one more chunk may be on its way."""
        return self.in_flight_bytes < _WINDOW_BYTES

    def begin(self, stream: str, header: zmq.Frame, payload: zmq.Frame | SharedSlot) -> ChunkTransfer:
        """Begin to send an array."""
        self._started += 1
        self.transfer = ChunkTransfer(self._started, stream, header, payload)
        return self.transfer

    def sent(self, transfer: ChunkTransfer, n_bytes: int, now_s: float) -> None:
        """Note a chunk that was handed over."""
        self._in_flight.append((transfer.number, transfer.offset, n_bytes, now_s))
        self.in_flight_bytes += n_bytes
        if transfer.is_done:
            self.transfer = None

    def acknowledged(self, number: int, until: int, now_s: float) -> float | None:
        """Everything up to a chunk has arrived; the round trip of that chunk (s), None if it is unknown."""
        round_trip_s = None
        while self._in_flight and self._in_flight[0][:2] <= (number, until):
            sent_number, sent_until, n_bytes, sent_s = self._in_flight.popleft()
            self.in_flight_bytes -= n_bytes
            if (sent_number, sent_until) == (number, until):
                round_trip_s = now_s - sent_s
        return round_trip_s


class ChunkAssembler:
    """The receiving end: puts one array together after the other."""

    def __init__(self) -> None:
        self._number = -1
        self._filled = 0
        self._array: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._stream = b""
        self._header: zmq.Frame | None = None

    def take(
        self, mark: bytes, chunk: zmq.Frame, *first: zmq.Frame
    ) -> tuple[int, int, tuple[bytes, zmq.Frame, ArrayPayload] | None]:
        """Take a chunk: number of the transfer, bytes of it so far, and the message if it is complete.

        Raises:
            DataFormatError: the chunk does not continue what is being put together; that is given up.
        """
        try:
            number, offset, n_bytes = _MARK.unpack(mark)
        except struct.error as error:
            raise self._refusal("its mark is malformed") from error
        if offset == 0:
            if len(first) != 2 or not 0 < n_bytes <= MAX_FRAME_BYTES:
                raise self._refusal(f"it begins an array of {n_bytes} bytes with {len(first)} parts")
            if n_bytes >= LARGE_BYTES:
                keep_freed_memory()
            self._number, self._filled = number, 0
            self._stream, self._header = first[0].bytes, first[1]
            self._array = np.empty(n_bytes, np.uint8)
        size = len(chunk)
        if (
            self._header is None
            or (number, offset, n_bytes) != (self._number, self._filled, self._array.nbytes)
            or not 0 < size <= n_bytes - offset
        ):
            raise self._refusal(f"it is chunk {offset} to {offset + size} of {n_bytes} of array {number}")
        self._array[offset : offset + size] = np.frombuffer(chunk.buffer, np.uint8)
        self._filled = until = offset + size
        if until < n_bytes:
            return number, until, None
        self._array.flags.writeable = False
        message = (self._stream, self._header, ArrayPayload(self._array))
        self._give_up()
        return number, until, message

    def _give_up(self) -> None:
        self._number, self._filled, self._header = -1, 0, None
        self._array = np.empty(0, np.uint8)

    def _refusal(self, why: str) -> DataFormatError:
        self._give_up()
        return DataFormatError(
            f"A piece of a message does not belong to what came before: {why}.",
            safe="the message was not used; its number will be missing.",
            next_step="check that both machines run compatible versions.",
        )
