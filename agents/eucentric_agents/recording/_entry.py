"""What the records of a segment's journal say: a frame and where it lies, or the shard it has become."""

from __future__ import annotations

import zlib
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, model_validator

from eucentric_core import Frame, FrameHeader, FrozenModel, Shard
from eucentric_transfer import ChunkPlace

from ._checksum import crc32c
from ._record_format import JOURNAL
from ._rules import runs_of

__all__ = [
    "ChunkEntry",
    "FrameEntry",
    "SealEntry",
    "encode_chunk_entry",
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


class SealEntry(FrozenModel):
    """The open shard is closed, and this is what it has become.

    `missing` are sequence numbers and, where several follow each other, the first and the last of them: a
    record must stay small enough to be read back, however wide a gap is.
    """

    kind: Literal["seal"] = "seal"
    shard: Shard
    missing: tuple[int | tuple[int, int], ...]

    @property
    def missing_sequences(self) -> tuple[int, ...]:
        """Each acquisition that is missing."""
        runs = ((run, run) if isinstance(run, int) else run for run in self.missing)
        return tuple(number for first, last in runs for number in range(first, last + 1))


_ENTRY: TypeAdapter[FrameEntry | SealEntry] = TypeAdapter(
    Annotated[FrameEntry | SealEntry, Field(discriminator="kind")]
)


def parse_entry(header: bytes) -> FrameEntry | SealEntry:
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


def encode_seal_entry(shard: Shard, missing: tuple[int, ...]) -> bytes:
    """The record that says what the open shard has become."""
    runs = [(first, last) if last > first else first for first, last in runs_of(missing)]
    text = SealEntry(shard=shard, missing=tuple(runs)).model_dump_json().encode()
    return JOURNAL.encode(text)
