"""Writing past the page cache (`O_DIRECT`), where a system and a file system offer it.

The kernel otherwise copies every frame into memory of its own, which it has to find, clear and write out:
more work than all else done with a frame. Such writes begin and end at a block, in the file as in memory.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ._chunk_memory import BLOCK_BYTES, address_of, lend_memory, whole_blocks

__all__ = ["BLOCK_BYTES", "DIRECT_FROM_BYTES", "DirectFile", "in_blocks", "whole_blocks"]

DIRECT_FROM_BYTES = 64 << 10
"""What is smaller costs more to write past the cache than through it."""

_STAGED_BYTES = 16 << 20
"""Copied at a time."""
_WRITTEN_BYTES = 64 << 20
"""Written at a time: the fewer writes, the less often the writing thread has to wait for Python's lock."""

_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)

_Buffer = bytes | memoryview

_log = logging.getLogger(__name__)


def in_blocks(offset: int, chunks: Sequence[_Buffer]) -> Iterator[tuple[int, list[memoryview]]]:
    """Chunks that follow each other, each from the beginning of a block, as writes of a few MiB.

    They consist of whole blocks. What begins and ends at blocks in memory is written from there; all else is
    copied, its last block filled up with zeros, and the copy is good until the next write is asked for.

    Args:
        offset: of the first chunk in the file.
        chunks: as they are to lie there.

    Yields:
        Where the write begins in the file, and its blocks.
    """
    staged: npt.NDArray[np.uint8] | None = None
    blocks: list[memoryview] = []
    begin, used = offset, 0
    for chunk in chunks:
        size_bytes, room = len(chunk), whole_blocks(len(chunk))
        is_ready = room == size_bytes and address_of(chunk) % BLOCK_BYTES == 0
        if blocks and (offset - begin >= _WRITTEN_BYTES or (not is_ready and used + room > _STAGED_BYTES)):
            yield begin, blocks
            begin, blocks, used = offset, [], 0
        if is_ready:
            blocks.append(memoryview(chunk))
        else:
            if room > _STAGED_BYTES:
                place = lend_memory(room)
            else:
                staged = lend_memory(_STAGED_BYTES) if staged is None else staged
                place = staged[used : used + room]
            place[:size_bytes] = np.frombuffer(chunk, np.uint8)
            place[size_bytes:] = 0
            blocks.append(place.data)
            used += room
        offset += room
    if blocks:
        yield begin, blocks


class DirectFile:
    """A second way into a file that exists; `is_open` is False where there is none, after a write at latest.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        if hasattr(os, "O_DIRECT") and hasattr(os, "pwritev"):
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
            except OSError as error:
                if error.errno not in _REFUSALS:
                    raise
                _log.debug("frames are written through the page cache: %s", error)

    @property
    def is_open(self) -> bool:
        """Whether `write` can be tried."""
        return self._descriptor >= 0

    def write(self, offset: int, blocks: Sequence[_Buffer]) -> int:
        """Write whole blocks; how many bytes of them the file has taken, from the first on.

        0: the file system takes none in this way, now and later.

        Raises:
            OSError: the disk failed, or is full.
        """
        try:
            return os.pwritev(self._descriptor, blocks, offset)
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            _log.info("frames are written through the page cache: %s", error)
            self.close()
            return 0

    def close(self) -> None:
        """Close this way; the file stays open for others. Again does nothing."""
        # Its number may soon be another file's.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
