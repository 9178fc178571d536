"""A segment: one shard while it is open, and the journal that says what in it is safe."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from eucentric_core import Frame, FrameHeader, Shard, crc32c, fsync_directory
from eucentric_transfer import Compression, ShardBuilder, StoredChunk, flush_to_disk, is_table

from ._entry import encode_chunk_entry, encode_closed_entry, encode_inline_entry, encode_seal_entry
from ._errors import JournalError, disk_errors
from ._folders import Folders, SegmentName
from ._interrupted import checksum_around
from ._packing import Packing
from ._steps import reached

__all__ = ["Batch", "Records", "Segment", "is_inline"]

Batch = list[tuple[Frame, Packing | None]]
"""Frames that were taken and are not written; without a packing, one that is kept in the journal."""

Records = list[tuple[tuple[int, str], bytes]]
"""Frames, as (sequence number, stream), with their records; they have their places, but are not durable."""


def is_inline(header: FrameHeader) -> bool:
    """Whether a frame's array is kept in the journal until the shard is closed."""
    return is_table(header)


class Segment:
    """An open shard with its journal. One thread appends; another gives batches their places, in their order;
    a third writes what has its place, and takes the steps of `make_durable`.

    `durable` are the frames in the journal; what is not in there was never acknowledged. Once `broken`,
    the segment is only good for being copied from its journal into a new one.

    Args:
        folders: of the journal.
        name: a new one; the files must not exist.
        provisional: the journal's name says that the segment does not count yet, see `confirm`.

    Raises:
        OutOfSpaceError, JournalError: the disk failed.
    """

    def __init__(
        self,
        folders: Folders,
        name: SegmentName,
        *,
        software: str,
        compression: Compression,
        provisional: bool = False,
    ) -> None:
        self.name = name
        self.shard_path = folders.shard(name)
        self.journal_path = folders.journal(name)
        if provisional:
            self.journal_path = self.journal_path.with_suffix(".part")
        with disk_errors("opening a segment"):
            # The journal comes first: a shard without one holds nothing that was acknowledged.
            self._journal = self.journal_path.open("wb", buffering=0)
            self.builder = ShardBuilder(self.shard_path, software=software, compression=compression)
        reached("journal.opened")
        self._is_entered = False
        self._waiting: Batch = []
        self._places: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        self.durable: set[tuple[int, str]] = set()
        self.broken = False
        self.commits_running = 0

    @property
    def unsettled(self) -> bool:
        """Whether there are frames that are not durable."""
        return bool(self._waiting or self.commits_running)

    @property
    def shard_bytes(self) -> int:
        """Length of the open shard so far, 0 if the disk does not say."""
        try:
            return self.shard_path.stat().st_size
        except OSError:
            return 0

    def append(self, frame: Frame, packing: Packing | None) -> None:
        """Take a frame; `packing` is None for one that is kept in the journal."""
        self._waiting.append((frame, packing))

    def take_batch(self) -> Batch:
        """What was appended since; `place` is to be called with it, and `settle` in the end."""
        batch, self._waiting = self._waiting, []
        with self._lock:
            self.commits_running += bool(batch)
        return batch

    def place(self, batch: Batch) -> Records:
        """Give frames their places in the shard; what `make_durable` needs to know. `write` comes first.

        Raises:
            OutOfSpaceError, JournalError: none of them counts, and the segment is broken.
        """
        if not batch:
            return []
        with self._breaking("placing a frame"):
            records = [self._place(frame, packing) for frame, packing in batch]
            self.builder.stage_chunks()
            return records

    @property
    def placed(self) -> int:
        """How much has its place so far, for `write`. For the thread that calls `place`."""
        return self.builder.placed

    def write(self, placed: int) -> None:
        """Write frames that have their places.

        Args:
            placed: those that had theirs when `placed` was so much: what came later must not delay them.

        Raises:
            OutOfSpaceError, JournalError: none of them counts, and the segment is broken.
        """
        with self._breaking("writing frames"):
            self.builder.write_chunks(placed)

    @contextmanager
    def _breaking(self, doing: str) -> Iterator[None]:
        self._refuse_broken()
        try:
            with disk_errors(doing):
                yield
        except BaseException:
            self.broken = True
            raise

    def _place(self, frame: Frame, packing: Packing | None) -> tuple[tuple[int, str], bytes]:
        header = frame.header
        if packing is None:
            self.builder.append_rows(header, frame.array)
            record = encode_inline_entry(frame)
        else:
            packed = packing.result()
            place = self.builder.append_chunk(header, packed.chunk)
            self._places.append((place.offset, place.size_bytes))
            record = encode_chunk_entry(packed.header_json, place, packed.checksum)
        reached("journal.frame.written")
        return (header.sequence, header.stream), record

    def copy(self, header: FrameHeader, content: StoredChunk | Frame) -> Records:
        """Take over what another segment holds as it is stored; `make_durable` is to be called with it.

        Raises:
            OutOfSpaceError, JournalError: the disk failed.
        """
        with disk_errors("copying a frame"):
            if isinstance(content, Frame):
                self.builder.append_rows(header, content.array)
                record = encode_inline_entry(content)
            else:
                place = self.builder.append_chunk(header, content)
                self._places.append((place.offset, place.size_bytes))
                self.builder.write_chunks()
                text = header.model_dump_json().encode()
                record = encode_chunk_entry(text, place, crc32c(content.content))
        return [((header.sequence, header.stream), record)]

    def make_durable(self, records: Records) -> None:
        """Chunks first, then the records that vouch for them. May run beside `append` and `write`.

        Raises:
            OutOfSpaceError, JournalError: nothing of it counts. A failed flush may drop what was
                written, so repeating it would lie: the segment is broken.
        """
        self.flush_chunks(records)
        self.write_records(records)
        self.flush_records(records)

    def flush_chunks(self, records: Records) -> None:
        """The first step of `make_durable`: the chunks of these frames and the files' names are on the disk.

        Raises:
            OutOfSpaceError, JournalError: see `make_durable`.
        """
        if not records:
            return
        with self._breaking("making frames durable"):
            if not self._is_entered:
                # Here and not where it was opened, which frames wait for.
                fsync_directory(self.journal_path.parent)
                self._is_entered = True
            flush_to_disk(self.shard_path)
            reached("journal.chunks.durable")

    def write_records(self, records: Records) -> None:
        """The second step, after the first: the records are written.

        Raises:
            OutOfSpaceError, JournalError: see `make_durable`.
        """
        if not records:
            return
        with self._breaking("making frames durable"):
            self._append_records([record for _, record in records])

    def flush_records(self, records: Records) -> None:
        """The third step, after the second: the frames are durable.

        Raises:
            OutOfSpaceError, JournalError: see `make_durable`.
        """
        if not records:
            return
        with self._breaking("making frames durable"):
            self._flush_journal()
            reached("journal.durable")
        self.durable.update(frame for frame, _ in records)

    def settle(self, batch: Batch) -> None:
        """A batch is durable, or never will be."""
        with self._lock:
            self.commits_running -= bool(batch)

    def _refuse_broken(self) -> None:
        if self.broken:
            raise JournalError(
                "Frames before these could not be made durable.",
                safe="none of them was acknowledged.",
                next_step="they are recorded again by themselves.",
            )

    def _append_records(self, records: Iterable[bytes]) -> None:
        content = memoryview(b"".join(records))
        while content:
            content = content[self._journal.write(content) :]
        reached("journal.records.written")

    def _flush_journal(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self._journal.fileno())

    def note_closed(self, missing: tuple[int, ...]) -> None:
        """Write down that the shard is closed, and vouch for what lies around its chunks.

        Raises:
            OutOfSpaceError, JournalError: the disk failed.
        """
        self._require_whole()
        with disk_errors("writing down a closed shard"):
            size_bytes, checksum = checksum_around(self.shard_path, self._places)
            self._append_records([encode_closed_entry(size_bytes, checksum, missing)])
            self._flush_journal()

    def announce(self, shard: Shard, missing: tuple[int, ...]) -> None:
        """Write down what the closed shard is, before it gets its name.

        Raises:
            OutOfSpaceError, JournalError: the disk failed.
        """
        self._require_whole()
        with disk_errors("writing down a sealed shard"):
            self._append_records([encode_seal_entry(shard, missing)])
            self._flush_journal()

    def _require_whole(self) -> None:
        if self.broken:
            raise JournalError(
                "A segment that failed cannot be sealed.",
                safe="its frames are in the journal.",
                next_step="it is built anew from the journal by itself.",
            )

    def confirm(self, folders: Folders) -> None:
        """From here on a provisional segment counts, and the one it was copied from does not."""
        with disk_errors("replacing a segment"):
            self.journal_path = self.journal_path.replace(folders.journal(self.name))
            fsync_directory(folders.open)

    def close(self) -> None:
        """Let go of the files and leave them; the next start finds them."""
        self._journal.close()
        self.builder.abandon()

    def discard(self) -> None:
        """Delete the files: what was in them is elsewhere."""
        self.close()
        with disk_errors("removing a segment"):
            self.shard_path.unlink(missing_ok=True)
            self.journal_path.unlink(missing_ok=True)
