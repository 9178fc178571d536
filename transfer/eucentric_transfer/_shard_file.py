"""The file under an open shard: HDF5 says where a chunk lies, and its bytes are written later, elsewhere.

HDF5 writes under a lock of its own that also holds up every other Python thread, and copies a frame into the
kernel meanwhile. Through this file (h5py's `fileobj` driver) a direct chunk write costs only the bookkeeping:
the chunk's buffer is remembered with its place, and `write_chunks` writes many at once, with no lock held.
Everything else that HDF5 writes is written at once.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["ShardFile"]

_MOST_BUFFERS = 64
_HAS_VECTORS = hasattr(os, "pwritev")

_Buffer = bytes | memoryview


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
        self._position = 0
        self._end = 0
        self._chunk: _Buffer | None = None
        self._waiting: list[tuple[int, _Buffer]] = []
        self._lock = threading.Lock()
        self._abandoned = False

    def expect(self, chunk: _Buffer | None) -> None:
        """What HDF5 is about to be given; it stays unchanged until `write_chunks` has returned."""
        self._chunk = chunk

    def write_chunks(self) -> None:
        """Write what waits. One thread at a time.

        Raises:
            OSError: it is not written, and is tried no more.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
        begin = 0
        for index in range(1, len(waiting) + 1):
            if index < len(waiting) and index - begin < _MOST_BUFFERS:
                offset, buffer = waiting[index - 1]
                if waiting[index][0] == offset + len(buffer):
                    continue
            self._write_at(waiting[begin][0], [buffer for _, buffer in waiting[begin:index]])
            begin = index

    def sync(self) -> None:
        """Wait until the file is on the disk.

        Raises:
            OSError: it is not.
        """
        os.fsync(self._descriptor)

    def abandon(self) -> None:
        """From here on nothing is written, and HDF5 is not told."""
        self._abandoned = True
        with self._lock:
            self._waiting.clear()

    def release(self) -> None:
        """Close the file."""
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
        """For HDF5: write, or remember the chunk that it was just given."""
        offset, size_bytes = self._position, len(content)
        self._end = max(self._end, offset + size_bytes)
        self._position = offset + size_bytes
        if self._abandoned:
            return size_bytes
        chunk = self._chunk
        # HDF5 may write something else meanwhile: what counts is that this is the chunk's own memory.
        if chunk is not None and len(chunk) == size_bytes and _address(chunk) == _address(content):
            self._chunk = None
            with self._lock:
                self._waiting.append((offset, chunk))
        else:
            self._write_at(offset, [content])
        return size_bytes

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
            os.ftruncate(self._descriptor, self._end)
        return self._end

    def flush(self) -> None:
        """For HDF5: everything is written at once, or on purpose later."""

    def readable(self) -> bool:
        """For HDF5."""
        return True

    def writable(self) -> bool:
        """For HDF5."""
        return True

    def seekable(self) -> bool:
        """For HDF5."""
        return True

    def _write_at(self, offset: int, buffers: Sequence[_Buffer]) -> None:
        if not _HAS_VECTORS:
            self._write_after_seeking(offset, buffers)
            return
        left = list(buffers)
        while left:
            written = os.pwritev(self._descriptor, left, offset)
            offset += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left and written:
                left[0] = memoryview(left[0])[written:]

    def _write_after_seeking(self, offset: int, buffers: Sequence[_Buffer]) -> None:
        # Windows has no write at an offset.
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            for buffer in buffers:
                left = memoryview(buffer)
                while left:
                    left = left[os.write(self._descriptor, left) :]


def _address(buffer: _Buffer) -> int:
    return int(np.frombuffer(buffer, np.uint8).__array_interface__["data"][0])
