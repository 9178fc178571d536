"""What the records of a segment's journal say: a frame and where it lies, or the shard it has become."""

from __future__ import annotations

import zlib
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, model_validator

from eucentric_core import Frame, FrameHeader, FrozenModel, Shard, crc32c, runs_of
from eucentric_transfer import ChunkPlace

from ._record_format import JOURNAL

__all__ = [
    "ChunkEntry",
    "ClosedEntry",
    "FrameEntry",
    "SealEntry",
    "encode_chunk_entry",
    "encode_closed_entry",
    "encode_inline_entry",
    "encode_seal_entry",
    "parse_entry",
]


class ChunkEntry(FrozenModel):
    """Where the array's bytes lie in the open shard, and their CRC-32C as they are stored.

    Journals of before have their CRC-32.
    """

    offset: Annotated[int, Field(ge=0)]
    size_bytes: Annotated[int, Field(gt=0)]
    filter_mask: Annotated[int, Field(ge=0, le=1)]
    crc32c: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None
    crc32: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None

    @model_validator(mode="after")
    def _one_checksum(self) -> Self:
        if (self.crc32c is None) == (self.crc32 is None):
            raise ValueError("a chunk has one checksum")
        return self

    def vouches_for(self, content: bytes) -> bool:
        """Whether these are the bytes."""
        if len(content) != self.size_bytes:
            return False
        if self.crc32c is not None:
            return crc32c(content) == self.crc32c
        return zlib.crc32(content) == self.crc32


class FrameEntry(FrozenModel):
    """A frame. Without a chunk the array is the record's payload."""

    kind: Literal["frame"] = "frame"
    header: FrameHeader
    chunk: ChunkEntry | None = None


class _WithGaps(FrozenModel):
    """`missing` are sequence numbers and, where several follow each other, the first and the last of them: a
    record must stay small enough to be read back, however wide a gap is.
    """

    missing: tuple[int | tuple[int, int], ...]

    @property
    def missing_sequences(self) -> tuple[int, ...]:
        """Each acquisition that is missing."""
        runs = ((run, run) if isinstance(run, int) else run for run in self.missing)
        return tuple(number for first, last in runs for number in range(first, last + 1))


class ClosedEntry(_WithGaps):
    """The open shard is closed: so long, and this is the CRC-32C of what is no chunk in it."""

    kind: Literal["closed"] = "closed"
    size_bytes: Annotated[int, Field(gt=0)]
    crc32c_around: Annotated[int, Field(ge=0, lt=1 << 32)]


class SealEntry(_WithGaps):
    """The open shard is closed and hashed, and this is what it has become."""

    kind: Literal["seal"] = "seal"
    shard: Shard


Entry = FrameEntry | ClosedEntry | SealEntry

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


def parse_entry(header: bytes) -> Entry:
    """The entry of a record.

    Raises:
        pydantic.ValidationError: it is none of this version.
    """
    return _ENTRY.validate_json(header)


def encode_chunk_entry(header_json: bytes, place: ChunkPlace, checksum: int) -> bytes:
    """The record of a frame whose bytes are in the open shard, and have this CRC-32C."""
    # The header is JSON already, made beside the compression; the rest are numbers.
    text = (
        b'{"kind":"frame","header":%b,"chunk":{"offset":%d,"size_bytes":%d,"filter_mask":%d,"crc32c":%d}}'
        % (
            header_json,
            place.offset,
            place.size_bytes,
            place.filter_mask,
            checksum,
        )
    )
    return JOURNAL.encode(text)


def encode_inline_entry(frame: Frame) -> bytes:
    """The record of a small frame, its array inside."""
    array: npt.NDArray[np.generic] = np.ascontiguousarray(frame.array)
    payload = array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
    text = FrameEntry(header=frame.header).model_dump_json().encode()
    return JOURNAL.encode(text, payload)


def encode_closed_entry(size_bytes: int, crc32c_around: int, missing: tuple[int, ...]) -> bytes:
    """The record that says that the open shard is closed."""
    entry = ClosedEntry(size_bytes=size_bytes, crc32c_around=crc32c_around, missing=_gaps(missing))
    return JOURNAL.encode(entry.model_dump_json().encode())


def encode_seal_entry(shard: Shard, missing: tuple[int, ...]) -> bytes:
    """The record that says what the open shard has become."""
    return JOURNAL.encode(SealEntry(shard=shard, missing=_gaps(missing)).model_dump_json().encode())


def _gaps(missing: tuple[int, ...]) -> tuple[int | tuple[int, int], ...]:
    return tuple((first, last) if last > first else first for first, last in runs_of(missing))
