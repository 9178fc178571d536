"""Finding every good record of an append-only file, whatever lies between them."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ._record_format import PREFIX_BYTES, Lengths, RecordFormat

__all__ = ["Record", "Scan", "scan_file"]

_PIECE_BYTES = 1 << 20
_SECTOR_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """A record whose checksum is right, and where its payload lies (bytes from the start of the file)."""

    header: bytes
    payload_offset: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds.

    `damaged` are byte ranges that are not what was written; `unreadable` are sectors that the disk cannot
    read, each in one of them. `torn_from` is where an append was cut short by a crash, None if the file ends
    with a whole record; it was never acknowledged.
    """

    records: tuple[Record, ...]
    damaged: tuple[tuple[int, int], ...]
    torn_from: int | None
    unreadable: tuple[tuple[int, int], ...] = ()

    def is_readable(self, start: int, stop: int) -> bool:
        """Whether the disk can read these bytes."""
        return all(stop <= begin or start >= end for begin, end in self.unreadable)


class _Content:
    """A file that is read in pieces. A mapped one would kill this process at the first bad sector."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self.unreadable: set[tuple[int, int]] = set()

    def read(self, start: int, n_bytes: int) -> bytes:
        """The bytes that are there; zeros for those that the disk cannot read.

        Raises:
            OSError: the disk failed in another way.
        """
        try:
            return self._read(start, n_bytes)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        stop, found = min(start + n_bytes, self.size), []
        while start < stop:
            end = min(stop, (start // _SECTOR_BYTES + 1) * _SECTOR_BYTES)
            found.append(self._read_sector(start, end))
            start = end
        return b"".join(found)

    def _read(self, start: int, n_bytes: int) -> bytes:
        self._file.seek(start)
        return self._file.read(n_bytes)

    def _read_sector(self, start: int, end: int) -> bytes:
        try:
            return self._read(start, end - start)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.unreadable.add((start, end))
            return bytes(end - start)


class _Scanner:
    def __init__(self, content: _Content, kind: RecordFormat) -> None:
        self._content = content
        self._kind = kind
        self._records: list[Record] = []
        self._damaged: list[tuple[int, int]] = []

    def lengths_at(self, start: int) -> Lengths | None:
        return self._kind.parse(self._content.read(start, PREFIX_BYTES))

    def next_prefix(self, start: int) -> int:
        """Where the next believable record starts, or the end."""
        magic, end = self._kind.magic, self._content.size
        while start < end:
            piece = self._content.read(start, _PIECE_BYTES)
            at = piece.find(magic)
            while at >= 0:
                if self.lengths_at(start + at) is not None:
                    return start + at
                at = piece.find(magic, at + 1)
            if start + len(piece) >= end or not piece:
                break
            # A magic may lie across the border of two pieces.
            start += len(piece) - len(magic) + 1
        return end

    def _record_at(self, start: int, lengths: Lengths) -> Record | None:
        header_start = start + PREFIX_BYTES
        payload_start = header_start + lengths.header
        header = self._content.read(header_start, lengths.header)
        checksum, at, stop = self._kind.checksum(header, 0), payload_start, payload_start + lengths.payload
        while at < stop:
            piece = self._content.read(at, min(_PIECE_BYTES, stop - at))
            checksum, at = self._kind.checksum(piece, checksum), at + max(1, len(piece))
        return Record(header, payload_start, lengths.payload) if checksum == lengths.checksum else None

    def scan(self) -> Scan:
        position, end = 0, self._content.size
        torn_from = None
        while position < end:
            lengths = self.lengths_at(position)
            if lengths is None:
                following = self.next_prefix(position + 1)
                if following == end and end - position < PREFIX_BYTES:
                    torn_from = position
                    break
                self._damaged.append((position, following))
                position = following
                continue
            stop = position + PREFIX_BYTES + lengths.header + lengths.payload
            if stop > end:
                torn_from = position
                break
            record = self._record_at(position, lengths)
            if record is None:
                self._damaged.append((position, stop))
            else:
                self._records.append(record)
            position = stop
        unreadable = tuple(sorted(self._content.unreadable))
        return Scan(tuple(self._records), tuple(self._damaged), torn_from, unreadable)


def scan_file(path: Path, *kinds: RecordFormat) -> Scan:
    """Find every good record of a file; damage between them does not hide those behind it.

    Args:
        path: of the file.
        kinds: what its records may be, all of one kind: of that whose first believable record comes first.

    Raises:
        OSError: the disk failed in another way than not to read a sector.
    """
    with path.open("rb", buffering=0) as file:
        content = _Content(file)
        scanners = [_Scanner(content, kind) for kind in kinds]
        if len(scanners) > 1:
            scanners.sort(key=lambda scanner: scanner.next_prefix(0))
        return scanners[0].scan()
