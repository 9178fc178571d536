"""Writing past the page cache (`O_DIRECT`), where a system and a file system offer it.

The kernel otherwise copies every frame into memory of its own, which it has to find, clear and write out:
more work than all else done with a frame. Such writes begin and end at a block, in the file as in memory.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK_BYTES", "DIRECT_FROM_BYTES", "DirectFile", "address_of", "aligned_memory", "whole_blocks"]

BLOCK_BYTES = 4096
DIRECT_FROM_BYTES = 64 << 10
"""What is smaller costs more to write past the cache than through it."""

_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)

_Buffer = bytes | memoryview

_log = logging.getLogger(__name__)


def whole_blocks(n_bytes: int) -> int:
    """Length of the blocks that so many bytes lie in, if they begin with one (bytes)."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


def address_of(buffer: _Buffer) -> int:
    """Where a buffer lies in memory."""
    return int(np.frombuffer(buffer, np.uint8).__array_interface__["data"][0])


def aligned_memory(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Memory that begins at a block, uint8 of shape `(n_bytes,)`; its content is undefined."""
    memory = np.empty(n_bytes + BLOCK_BYTES, np.uint8)
    begin = -int(memory.__array_interface__["data"][0]) % BLOCK_BYTES
    return memory[begin : begin + n_bytes]


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
