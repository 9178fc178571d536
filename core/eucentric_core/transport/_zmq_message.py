"""One message of the data channel: stream name, header, array; sent and received without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from .._errors import DataFormatError
from .._event import AnyEvent, parse_event
from .._frame import Frame, FrameHeader
from .._result import ResultHeader

__all__ = ["EVENT_STREAM", "ArrayPayload", "Payload", "StreamMessage"]

EVENT_STREAM = "events"
"""Stream whose messages carry an `Event` and no array."""


class Payload(Protocol):
    """The bytes of an array, wherever they lie."""

    @property
    def buffer(self) -> memoryview:
        """All of them."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayPayload:
    """Bytes in shared memory, or put together from chunks. They stay while any view of them exists."""

    array: npt.NDArray[np.uint8]

    @property
    def buffer(self) -> memoryview:
        """All of them, read-only where others read them, too."""
        return self.array.data


@contextmanager
def _refusing_malformed(stream: str) -> Iterator[None]:
    try:
        yield
    except (ValidationError, ValueError) as error:
        raise DataFormatError(
            f"A message of stream {stream!r} is not of this schema: {error}.",
            safe="the message was not used.",
            next_step="check that both machines run compatible versions.",
        ) from error


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A received message. `payload` is where it lies; arrays made of it are read-only views.

    `crc32c` is the checksum of the array as it was published, where the publisher has made one.
    """

    stream: str
    header: bytes
    payload: Payload
    crc32c: int | None = None

    def _array(self, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        return np.frombuffer(self.payload.buffer.toreadonly(), dtype=dtype).reshape(shape)

    def frame(self) -> Frame:
        """The message as a measured frame.

        Raises:
            DataFormatError: it is not one.
        """
        with _refusing_malformed(self.stream):
            header = FrameHeader.model_validate_json(self.header)
            if header.stream != self.stream:
                raise ValueError(f"the header is of stream {header.stream!r}")
            return Frame(header, self._array(header.dtype, header.shape))

    def result(self) -> tuple[ResultHeader, npt.NDArray[np.generic]]:
        """The message as an edge result: header and array.

        Raises:
            DataFormatError: it is not one.
        """
        with _refusing_malformed(self.stream):
            header = ResultHeader.model_validate_json(self.header)
            return header, self._array(header.dtype, header.shape)

    def event(self) -> AnyEvent:
        """The message as an event.

        Raises:
            DataFormatError: it is not one.
        """
        with _refusing_malformed(self.stream):
            return parse_event(self.header)
