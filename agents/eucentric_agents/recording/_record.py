"""One frame in the spool: prefix, header, array, with checksums that find damage and torn ends.

```
magic "EUSP" | header length u32 | array length u64 | CRC-32 of header and array u32 | CRC-32 of these u32
header (UTF-8 JSON) | array (C order)
```
Little-endian. The prefix has a checksum of its own, so that a damaged array costs one frame: its length
can still be trusted, and the scan goes on behind it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from mmap import mmap

import numpy as np
from pydantic import ValidationError

from eucentric_core import MAX_FRAME_BYTES, Frame, FrameHeader

__all__ = ["RecordedFrame", "Scan", "encode", "scan"]

_MAGIC = b"EUSP"
_FIELDS = struct.Struct("<4sIQI")
_CHECK = struct.Struct("<I")
_PREFIX_BYTES = _FIELDS.size + _CHECK.size
_MAX_HEADER_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A good record: its header and where its array starts (bytes from the start of the segment)."""

    header: FrameHeader
    array_offset: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds.

    `damaged` are byte ranges that are not what was written. `torn_from` is where an append was cut
    short by a crash, None if the segment ends with a whole record; it was never acknowledged.
    """

    records: tuple[RecordedFrame, ...]
    damaged: tuple[tuple[int, int], ...]
    torn_from: int | None


def encode(frame: Frame) -> tuple[bytes, memoryview]:
    """Prefix and header, and the array's bytes (not copied if contiguous)."""
    header = frame.header.model_dump_json().encode()
    array = np.ascontiguousarray(frame.array, dtype=frame.header.dtype)
    payload = array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
    fields = _FIELDS.pack(_MAGIC, len(header), len(payload), zlib.crc32(payload, zlib.crc32(header)))
    return fields + _CHECK.pack(zlib.crc32(fields)) + header, payload


def _lengths_at(content: mmap, start: int) -> tuple[int, int, int] | None:
    """Header length, array length and checksum of the record at `start`, None if there is no prefix."""
    prefix = content[start : start + _PREFIX_BYTES]
    if len(prefix) < _PREFIX_BYTES:
        return None
    fields = prefix[: _FIELDS.size]
    magic, header_length, array_length, checksum = _FIELDS.unpack(fields)
    if magic != _MAGIC or _CHECK.unpack(prefix[_FIELDS.size :])[0] != zlib.crc32(fields):
        return None
    if header_length > _MAX_HEADER_BYTES or array_length > MAX_FRAME_BYTES:
        return None
    return header_length, array_length, checksum


def _record_at(content: mmap, start: int, lengths: tuple[int, int, int]) -> RecordedFrame | None:
    header_length, array_length, checksum = lengths
    header_start = start + _PREFIX_BYTES
    array_start = header_start + header_length
    with memoryview(content) as view:
        body = view[header_start : array_start + array_length]
        intact = zlib.crc32(body) == checksum
        body.release()
    if not intact:
        return None
    try:
        header = FrameHeader.model_validate_json(content[header_start:array_start])
    except ValidationError:
        return None
    return RecordedFrame(header, array_start) if header.nbytes == array_length else None


def _next_prefix(content: mmap, start: int) -> int:
    """Where the next believable record starts, or the end."""
    while (found := content.find(_MAGIC, start)) >= 0:
        if _lengths_at(content, found) is not None:
            return found
        start = found + 1
    return len(content)


def scan(content: mmap) -> Scan:
    """Find every good record of a segment; damage between them does not hide those behind it."""
    records: list[RecordedFrame] = []
    damaged: list[tuple[int, int]] = []
    position, end = 0, len(content)
    while position < end:
        lengths = _lengths_at(content, position)
        if lengths is None:
            following = _next_prefix(content, position + 1)
            if following == end and end - position < _PREFIX_BYTES:
                return Scan(tuple(records), tuple(damaged), torn_from=position)
            damaged.append((position, following))
            position = following
            continue
        stop = position + _PREFIX_BYTES + lengths[0] + lengths[1]
        if stop > end:
            return Scan(tuple(records), tuple(damaged), torn_from=position)
        record = _record_at(content, position, lengths)
        if record is None:
            damaged.append((position, stop))
        else:
            records.append(record)
        position = stop
    return Scan(tuple(records), tuple(damaged), torn_from=None)
