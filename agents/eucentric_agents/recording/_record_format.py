"""The prefix of a record, and what kinds of records there are and have been."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from eucentric_core import MAX_FRAME_BYTES, MAX_VENDOR_METADATA_BYTES, crc32c

__all__ = ["JOURNAL", "JOURNAL_2", "PREFIX_BYTES", "SPOOL", "Lengths", "RecordFormat"]

_FIELDS = struct.Struct("<4sIQI")
_CHECK = struct.Struct("<I")
PREFIX_BYTES = _FIELDS.size + _CHECK.size
# JSON may write a character of the vendor's in six bytes.
_MAX_HEADER_BYTES = (64 << 10) + 6 * MAX_VENDOR_METADATA_BYTES


class Lengths(NamedTuple):
    """What a prefix announces: lengths in bytes, and the checksum of both."""

    header: int
    payload: int
    checksum: int


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """A kind of record.

    ```
    magic 4 bytes | header length u32 | payload length u64 | checksum of header, payload u32 | of these u32
    header (UTF-8 JSON) | payload
    ```
    Little-endian. The prefix has a checksum of its own, so that a damaged payload costs one record: its
    length can still be trusted, and a scan goes on behind it.
    """

    magic: bytes
    checksum: Callable[[bytes | memoryview, int], int]

    def encode(self, header: bytes, payload: bytes | memoryview = b"") -> bytes:
        """Prefix, header and payload of a record."""
        checksum = self.checksum(payload, self.checksum(header, 0))
        fields = _FIELDS.pack(self.magic, len(header), len(payload), checksum)
        return b"".join((fields, _CHECK.pack(self.checksum(fields, 0)), header, payload))

    def parse(self, prefix: bytes) -> Lengths | None:
        """What a prefix announces, None if it is none."""
        if len(prefix) < PREFIX_BYTES:
            return None
        fields = prefix[: _FIELDS.size]
        magic, header, payload, checksum = _FIELDS.unpack(fields)
        if magic != self.magic:
            return None
        if _CHECK.unpack(prefix[_FIELDS.size : PREFIX_BYTES])[0] != self.checksum(fields, 0):
            return None
        if header > _MAX_HEADER_BYTES or payload > MAX_FRAME_BYTES:
            return None
        return Lengths(header, payload, checksum)


SPOOL = RecordFormat(b"EUSP", zlib.crc32)
"""Of the spool of version 0.1."""

JOURNAL_2 = RecordFormat(b"EUJ2", zlib.crc32)
"""Of a segment's journal until the checksums became CRC-32C."""

JOURNAL = RecordFormat(b"EUJ3", crc32c)
"""Of a segment's journal."""
