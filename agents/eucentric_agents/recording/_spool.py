"""A spool segment: the frames of one open shard, appended to a file and durable after `sync`."""

from __future__ import annotations

import os
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from eucentric_core import Frame, FrameHeader, fsync_directory

from ._errors import disk_errors
from ._record import RecordedFrame, Scan, encode, scan

__all__ = ["SpoolSegment"]


def _scan_file(path: Path) -> Scan:
    if path.stat().st_size == 0:
        return Scan((), (), torn_from=None)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return scan(content)


class SpoolSegment:
    """An append-only file of frames. Opening an existing one reads back what a crash left of it.

    `found` says what was there; a torn end is cut off, because it was never acknowledged, and damaged
    ranges stay where they are, skipped by every reader.

    Raises:
        JournalError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(f"opening the spool segment {path.name}"):
            existed = path.exists()
            self._file = path.open("ab", buffering=0)
            if not existed:
                fsync_directory(path.parent)
            self.found = _scan_file(path)
            if self.found.torn_from is not None:
                os.truncate(path, self.found.torn_from)
                os.fsync(self._file.fileno())
        self._records: list[RecordedFrame] = list(self.found.records)
        self._size_bytes = path.stat().st_size
        self._durable_bytes = self._size_bytes
        self._durable_records = len(self._records)

    @property
    def size_bytes(self) -> int:
        """Length of the segment, durable or not."""
        return self._size_bytes

    def append(self, frame: Frame) -> None:
        """Add a frame; it is durable only after `sync`.

        Raises:
            OutOfSpaceError, JournalError: it was not added, the segment is as before.
        """
        head, payload = encode(frame)
        with disk_errors("writing a frame to the spool"):
            try:
                self._write_all(head)
                self._write_all(payload)
            except OSError:
                os.truncate(self.path, self._size_bytes)
                raise
        self._records.append(RecordedFrame(frame.header, self._size_bytes + len(head)))
        self._size_bytes += len(head) + len(payload)

    def _write_all(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def sync(self) -> None:
        """Make every appended frame durable.

        Raises:
            OutOfSpaceError, JournalError: the frames since the last `sync` are forgotten and must be
                appended again. A failed fsync may drop written pages, so repeating it would lie.
        """
        if self._durable_bytes == self._size_bytes:
            return
        with disk_errors("making frames durable"):
            try:
                os.fsync(self._file.fileno())
            except OSError:
                self._roll_back()
                raise
        self._durable_bytes, self._durable_records = self._size_bytes, len(self._records)

    def _roll_back(self) -> None:
        del self._records[self._durable_records :]
        self._size_bytes = self._durable_bytes
        os.truncate(self.path, self._durable_bytes)

    @property
    def headers(self) -> list[FrameHeader]:
        """Headers of all frames held."""
        return [record.header for record in self._records]

    def frames(self) -> list[Frame]:
        """All frames, their arrays mapped from the file and read when they are used."""
        if not self._records:
            return []
        content = np.memmap(self.path, dtype=np.uint8, mode="r")
        frames = []
        for record in self._records:
            header = record.header
            raw = content[record.array_offset : record.array_offset + header.nbytes]
            frames.append(Frame(header, np.frombuffer(raw, dtype=header.dtype).reshape(header.shape)))
        return frames

    def close(self) -> None:
        """Close the file and leave it."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete the file: its frames are in a sealed shard."""
        self._file.close()
        with disk_errors("removing a sealed spool segment"):
            self.path.unlink(missing_ok=True)
