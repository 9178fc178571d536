"""Reading a segment that was never closed: by its journal and checksums, never by HDF5's word."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from eucentric_core import DataFormatError, Frame, FrameHeader
from eucentric_transfer import StoredChunk

from ._entry import ChunkEntry, ClosedEntry, FrameEntry, SealEntry, parse_entry
from ._record import Record, scan_file
from ._record_format import JOURNAL, JOURNAL_2

__all__ = ["Damage", "Salvage"]


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are not what was written."""

    path: Path
    start: int
    stop: int
    what: str
    header: FrameHeader | None = None
    readable: bool = True

    def content(self) -> bytes:
        """The bytes, as far as they are there."""
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.stop - self.start)


@dataclass
class Salvage:
    """What a journal vouches for. Damage to records is known at once, damage to chunks after `frames`.

    Args:
        journal: file of records.
        shard: the shard they speak of, where it lies now.
    """

    journal: Path
    shard: Path
    closed: ClosedEntry | None = None
    seal: SealEntry | None = None
    torn_from: int | None = None
    damage: list[Damage] = field(default_factory=list)
    entries: list[tuple[FrameEntry, Record]] = field(default_factory=list)
    records_damaged: bool = False

    def __post_init__(self) -> None:
        found = scan_file(self.journal, JOURNAL, JOURNAL_2)
        self.torn_from = found.torn_from
        for start, stop in found.damaged:
            readable = found.is_readable(start, stop)
            what = (
                "a record of the journal is damaged" if readable else "the disk cannot read the journal here"
            )
            self.damage.append(Damage(self.journal, start, stop, what, readable=readable))
        seen: set[tuple[str, int]] = set()
        for record in found.records:
            try:
                entry = parse_entry(record.header)
            except ValidationError as error:
                stop = record.payload_offset + record.payload_bytes
                start = record.payload_offset - len(record.header)
                self.damage.append(
                    Damage(self.journal, start, stop, f"a record is of no known kind: {error}")
                )
                continue
            if isinstance(entry, SealEntry):
                self.seal = entry
            elif isinstance(entry, ClosedEntry):
                self.closed = entry
            elif (key := (entry.header.stream, entry.header.sequence)) not in seen:
                seen.add(key)
                self.entries.append((entry, record))
        self.records_damaged = bool(self.damage)

    @property
    def torn(self) -> bool:
        """Whether the journal ends in a record that was never finished."""
        return self.torn_from is not None

    @property
    def origins(self) -> set[tuple[str, str]]:
        """Instruments and sessions of the frames."""
        return {(entry.header.instrument, entry.header.session) for entry, _ in self.entries}

    def frames(self) -> Iterator[tuple[FrameHeader, StoredChunk | Frame]]:
        """Every intact frame in the order of arrival; one at a time is in memory."""
        for entry, record in self.entries:
            found = self._chunk(entry, entry.chunk) if entry.chunk else self._inline(entry, record)
            if found is not None:
                yield entry.header, found

    def _chunk(self, entry: FrameEntry, chunk: ChunkEntry) -> StoredChunk | None:
        damage = Damage(
            self.shard, chunk.offset, chunk.offset + chunk.size_bytes, "a chunk is damaged", entry.header
        )
        content = self._read(damage)
        if content is None:
            return None
        if not chunk.vouches_for(content):
            self.damage.append(damage)
            return None
        return StoredChunk(content, chunk.filter_mask)

    def _inline(self, entry: FrameEntry, record: Record) -> Frame | None:
        stop = record.payload_offset + record.payload_bytes
        payload = Damage(self.journal, record.payload_offset, stop, "an array is damaged", entry.header)
        content = self._read(payload)
        if content is None:
            return None
        try:
            array = np.frombuffer(content, entry.header.dtype).reshape(entry.header.shape)
            return Frame(entry.header, array)
        except (ValueError, DataFormatError):
            self.damage.append(payload)
            return None

    def _read(self, place: Damage) -> bytes | None:
        """The bytes; None if the disk cannot read them, which costs this frame and no other."""
        try:
            return place.content()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.damage.append(replace(place, what=f"the disk cannot read it: {error}", readable=False))
            return None
