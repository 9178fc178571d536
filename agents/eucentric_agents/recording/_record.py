"""One record of an append-only file: prefix, header, payload, with checksums that find damage and torn ends.

```
magic 4 bytes | header length u32 | payload length u64 | CRC-32 of header, payload u32 | CRC-32 of these u32
header (UTF-8 JSON) | payload
```
Little-endian. The prefix has a checksum of its own, so that a damaged payload costs one record: its length
can still be trusted, and the scan goes on behind it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from eucentric_core import MAX_FRAME_BYTES, MAX_VENDOR_METADATA_BYTES

__all__ = ["Record", "Scan", "encode_record", "scan_file"]

_FIELDS = struct.Struct("<4sIQI")
_CHECK = struct.Struct("<I")
_PREFIX_BYTES = _FIELDS.size + _CHECK.size
# JSON may write a character of the vendor's in six bytes.
_MAX_HEADER_BYTES = (64 << 10) + 6 * MAX_VENDOR_METADATA_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """A record whose checksum is right, and where its payload lies (bytes from the start of the file)."""

    header: bytes
    payload_offset: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds.

    `damaged` are byte ranges that are not what was written. `torn_from` is where an append was cut
    short by a crash, None if the file ends with a whole record; it was never acknowledged.
    """

    records: tuple[Record, ...]
    damaged: tuple[tuple[int, int], ...]
    torn_from: int | None


def encode_record(magic: bytes, header: bytes, payload: bytes | memoryview = b"") -> bytes:
    """Prefix, header and payload of a record."""
    fields = _FIELDS.pack(magic, len(header), len(payload), zlib.crc32(payload, zlib.crc32(header)))
    return b"".join((fields, _CHECK.pack(zlib.crc32(fields)), header, payload))


def _lengths_at(content: mmap, start: int, magic: bytes) -> tuple[int, int, int] | None:
    """Header length, payload length and checksum of the record at `start`, None if there is no prefix."""
    prefix = content[start : start + _PREFIX_BYTES]
    if len(prefix) < _PREFIX_BYTES:
        return None
    fields = prefix[: _FIELDS.size]
    found, header_length, payload_length, checksum = _FIELDS.unpack(fields)
    if found != magic or _CHECK.unpack(prefix[_FIELDS.size :])[0] != zlib.crc32(fields):
        return None
    if header_length > _MAX_HEADER_BYTES or payload_length > MAX_FRAME_BYTES:
        return None
    return header_length, payload_length, checksum


def _record_at(content: mmap, start: int, lengths: tuple[int, int, int]) -> Record | None:
    header_length, payload_length, checksum = lengths
    header_start = start + _PREFIX_BYTES
    payload_start = header_start + header_length
    with memoryview(content) as view, view[header_start : payload_start + payload_length] as body:
        intact = zlib.crc32(body) == checksum
    if not intact:
        return None
    return Record(content[header_start:payload_start], payload_start, payload_length)


def _next_prefix(content: mmap, start: int, magic: bytes) -> int:
    """Where the next believable record starts, or the end."""
    while (found := content.find(magic, start)) >= 0:
        if _lengths_at(content, found, magic) is not None:
            return found
        start = found + 1
    return len(content)


def _scan(content: mmap, magic: bytes) -> Scan:
    records: list[Record] = []
    damaged: list[tuple[int, int]] = []
    position, end = 0, len(content)
    while position < end:
        lengths = _lengths_at(content, position, magic)
        if lengths is None:
            following = _next_prefix(content, position + 1, magic)
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


def scan_file(path: Path, magic: bytes) -> Scan:
    """Find every good record of a file; damage between them does not hide those behind it."""
    if path.stat().st_size == 0:
        return Scan((), (), torn_from=None)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return _scan(content, magic)
