"""The file under an open shard: HDF5 says where a chunk lies, and its bytes are written later, elsewhere.

HDF5 writes under a lock of its own that also holds up every other Python thread, and copies a frame into the
kernel meanwhile. Through this file (h5py's `fileobj` driver) a direct chunk write costs only the bookkeeping:
the chunk's buffer is remembered with its place, and `write_chunks` writes many at once, with no lock held,
past the page cache where there is a way (`_direct`). All else that HDF5 writes waits with them, in order.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ._chunk_memory import address_of, has_huge_pages, is_lent, lend_memory
from ._direct import BLOCK_BYTES, DIRECT_FROM_BYTES, DirectFile, in_blocks, whole_blocks
from ._staging import STAGED_BYTES, stage

__all__ = ["ShardFile"]

_MOST_BUFFERS = 128
_MOST_GAP_BYTES = 64 << 10
"""HDF5 leaves room for its own between chunks, and writes it later: until then it may be anything."""
_MOST_WAITING_BYTES = 8 << 20
"""Of what HDF5 writes beside chunks, which is copied until it is written."""
_HAS_VECTORS = hasattr(os, "pwritev")

_Buffer = bytes | memoryview

_ZEROS = lend_memory(_MOST_GAP_BYTES)
_ZEROS[:] = 0


class _Waiting(NamedTuple):
    """What is to be written. `alone`: it begins a block, and nothing older shares the last one."""

    offset: int
    buffer: _Buffer
    alone: bool
    copied_bytes: int

    @property
    def end(self) -> int:
        return self.offset + len(self.buffer)

    @property
    def can_be_staged(self) -> bool:
        """Whether it is whole blocks in ordinary memory."""
        size_bytes = len(self.buffer)
        fits = size_bytes == whole_blocks(size_bytes) <= STAGED_BYTES
        return self.alone and fits and not is_lent(address_of(self.buffer))


class ShardFile(io.RawIOBase):
    """A file that is written by HDF5. HDF5's calls come from one thread; another may write the chunks.

    Args:
        path: overwritten if it exists.

    Raises:
        OSError: the disk failed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666
        )
        try:
            self._direct = DirectFile(path)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._position = 0
        self._end = 0
        self._chunk: _Buffer | None = None
        self._chunk_offset: int | None = None
        self._blocks: _Buffer | None = None
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._begun = 0
        self._staged = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._abandoned = False

    def expect(self, chunk: _Buffer | None, blocks: _Buffer | None = None) -> None:
        """What HDF5 is about to be given; it stays unchanged until `write_chunks` has returned.

        Args:
            chunk: its bytes; None: nothing.
            blocks: the same memory up to the end of its last block, zeros behind the chunk; None if it does
                not begin a block in memory.
        """
        self._chunk, self._blocks, self._chunk_offset = chunk, blocks, None

    @property
    def chunk_offset(self) -> int | None:
        """Where HDF5 has put the chunk that was expected last; None if it was given none. For that thread."""
        return self._chunk_offset

    @property
    def known(self) -> int:
        """How many parts of the file were ever handed over, see `write_chunks`."""
        with self._lock:
            return self._begun + len(self._waiting)

    def stage_chunks(self) -> None:
        """Copy chunks that wait to where the disk takes them faster, if there is such a place.

        For the thread that HDF5's calls come from, before others may write them.
        """
        if not (has_huge_pages() and self._direct.is_open):
            return
        with self._lock:
            first = max(self._staged, self._begun)
            waiting = self._waiting[first - self._begun :]
            self._staged = first + len(waiting)
        chosen = [number for number, part in enumerate(waiting) if part.can_be_staged]
        copies = stage([waiting[number].buffer for number in chosen])
        with self._lock:
            for number, copy in zip(chosen, copies, strict=True):
                index = first + number - self._begun
                # Unless it was given up meanwhile.
                if 0 <= index < len(self._waiting):
                    self._waiting[index] = self._waiting[index]._replace(buffer=copy)

    def write_chunks(self, known: int | None = None) -> None:
        """Write what waits. Any thread; one waits for the other.

        Args:
            known: only what was handed over when there were so many parts. None: everything.

        Raises:
            OSError: it is not written, and is tried no more.
        """
        with self._writing:
            waiting = self._take(known)
            begin = 0
            for index in range(1, len(waiting) + 1):
                if (
                    index < len(waiting)
                    and index - begin < _MOST_BUFFERS
                    and _follows(waiting[index - 1 : index + 1])
                ):
                    continue
                run = waiting[begin:index]
                if not (run[0].alone and self._direct.is_open and self._write_past_cache(run)):
                    self._write_through_cache(run)
                begin = index

    def _take(self, known: int | None) -> list[_Waiting]:
        with self._lock:
            n_parts = len(self._waiting) if known is None else max(0, known - self._begun)
            taken, self._waiting = self._waiting[:n_parts], self._waiting[n_parts:]
            self._begun += len(taken)
            self._waiting_bytes -= sum(part.copied_bytes for part in taken)
        return taken

    def sync(self) -> None:
        """Wait until the file is on the disk.

        Raises:
            OSError: it is not.
        """
        self.write_chunks()
        os.fsync(self._descriptor)

    def abandon(self) -> None:
        """From here on nothing is written, and HDF5 is not told."""
        self._abandoned = True
        with self._lock:
            self._waiting.clear()

    def release(self) -> None:
        """Close the file."""
        self._direct.close()
        # Its number may soon be another file's.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """For HDF5: where the next call reads or writes."""
        self._position = offset if whence == os.SEEK_SET else self._end + offset
        return self._position

    def tell(self) -> int:
        """For HDF5: where that is."""
        return self._position

    def write(self, content: memoryview) -> int:  # type: ignore[override]
        """For HDF5: remember the chunk that it was just given, or a copy of whatever else it is."""
        offset, size_bytes, end = self._position, len(content), self._end
        self._end = max(end, offset + size_bytes)
        self._position = offset + size_bytes
        if self._abandoned:
            return size_bytes
        chunk = self._chunk
        # HDF5 may write something else meanwhile: what counts is that this is the chunk's own memory.
        if chunk is not None and len(chunk) == size_bytes and address_of(chunk) == address_of(content):
            self._chunk, self._chunk_offset = None, offset
            alone = size_bytes >= DIRECT_FROM_BYTES and offset % BLOCK_BYTES == 0 and offset >= end
            whole = self._blocks if alone and self._blocks is not None else chunk
            self._keep(_Waiting(offset, whole, alone, 0))
        else:
            self._keep(_Waiting(offset, bytes(content), False, size_bytes))
            if self._waiting_bytes >= _MOST_WAITING_BYTES:
                self.write_chunks()
        return size_bytes

    def _keep(self, part: _Waiting) -> None:
        with self._lock:
            self._waiting.append(part)
            self._waiting_bytes += part.copied_bytes

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """For HDF5: read back what was written."""
        self.write_chunks()
        with self._lock:
            os.lseek(self._descriptor, self._position, os.SEEK_SET)
            found = os.read(self._descriptor, len(buffer))
        buffer[: len(found)] = found
        buffer[len(found) :] = bytes(len(buffer) - len(found))
        self._position += len(buffer)
        return len(buffer)

    def truncate(self, size: int | None = None) -> int:
        """For HDF5: the file's length."""
        self._end = self._position if size is None else size
        if not self._abandoned:
            self.write_chunks()
            os.ftruncate(self._descriptor, self._end)
        return self._end

    def flush(self) -> None:
        """For HDF5: everything is written on purpose later."""

    def readable(self) -> bool:
        """For HDF5."""
        return True

    def writable(self) -> bool:
        """For HDF5."""
        return True

    def seekable(self) -> bool:
        """For HDF5."""
        return True

    def _write_past_cache(self, run: Sequence[_Waiting]) -> bool:
        """Write chunks that follow each other; False if the file system takes none in this way.

        What HDF5 puts behind a chunk, into its last block, is written after it.
        """
        for offset, blocks in in_blocks(run[0].offset, _with_gaps(run)):
            written = self._direct.write(offset, blocks)
            if written == 0:
                return False
            if written < sum(map(len, blocks)):
                # Where the disk ends, the other way says why.
                self._write_at(offset + written, _without(blocks, written))
        return True

    def _write_through_cache(self, run: Sequence[_Waiting]) -> None:
        begin = 0
        for index in range(1, len(run) + 1):
            if index < len(run) and run[index].offset == run[index - 1].end:
                continue
            self._write_at(run[begin].offset, [part.buffer for part in run[begin:index]])
            begin = index

    def _write_at(self, offset: int, buffers: Sequence[_Buffer]) -> None:
        if not _HAS_VECTORS:
            self._write_after_seeking(offset, buffers)
            return
        left = list(buffers)
        while left:
            written = os.pwritev(self._descriptor, left, offset)
            offset += written
            left = _without(left, written)

    def _write_after_seeking(self, offset: int, buffers: Sequence[_Buffer]) -> None:
        # Windows has no write at an offset.
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            for buffer in buffers:
                left = memoryview(buffer)
                while left:
                    left = left[os.write(self._descriptor, left) :]


def _without(buffers: Sequence[_Buffer], n_bytes: int) -> list[_Buffer]:
    """What is left of buffers behind so many bytes."""
    left = list(buffers)
    while left and n_bytes >= len(left[0]):
        n_bytes -= len(left.pop(0))
    if left and n_bytes:
        left[0] = memoryview(left[0])[n_bytes:]
    return left


def _with_gaps(run: Sequence[_Waiting]) -> list[_Buffer]:
    """The buffers of chunks, and zeros for what lies between them."""
    buffers: list[_Buffer] = []
    end = run[0].offset
    for part in run:
        if part.offset > end:
            buffers.append(_ZEROS[: part.offset - end].data)
        buffers.append(part.buffer)
        end = part.offset + whole_blocks(len(part.buffer))
    return buffers


def _follows(parts: Sequence[_Waiting]) -> bool:
    """Whether the second of two parts can be written with the first.

    Nothing was ever written between two chunks that were handed over one after the other, each behind
    everything that there was.
    """
    first, second = parts
    if first.alone != second.alone:
        return False
    if first.alone:
        return 0 <= second.offset - first.offset - whole_blocks(len(first.buffer)) <= len(_ZEROS)
    return second.offset == first.end
