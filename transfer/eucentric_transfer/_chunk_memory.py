"""Memory for the bytes of chunks: it begins at a block, and is used again when nobody refers to it any more.

Fresh memory for each frame costs more than half of what its compression does: the system finds, clears and
maps each page, and takes it away again, in every processor that the process runs on.
"""

from __future__ import annotations

import mmap
import weakref
from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK_BYTES", "lend_memory", "whole_blocks"]

BLOCK_BYTES = 4096
_MOST_KEPT_BYTES = 256 << 20

_kept: dict[int, deque[mmap.mmap]] = {}
"""Memory that nobody uses, by its length (bytes). Without a lock: memory may come back at any time, also in
the middle of a line of this module."""


def whole_blocks(n_bytes: int) -> int:
    """Length of the blocks that so many bytes lie in, if they begin with one (bytes)."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


def lend_memory(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Memory that begins at a block, uint8 of shape `(whole_blocks(n_bytes),)`; its content is undefined.

    It is used again when nothing refers to it, or to any view of it. Any thread.
    """
    size_bytes = max(BLOCK_BYTES, whole_blocks(n_bytes))
    try:
        memory = _kept[size_bytes].pop()
    except (KeyError, IndexError):
        memory = mmap.mmap(-1, size_bytes)
    lent = np.frombuffer(memory, np.uint8)
    weakref.finalize(lent, _take_back, memory, size_bytes).atexit = False
    return lent


def _take_back(memory: mmap.mmap, size_bytes: int) -> None:
    others_bytes = sum(size * len(idle) for size, idle in list(_kept.items()) if size != size_bytes)
    idle = _kept.setdefault(size_bytes, deque())
    if others_bytes + (len(idle) + 1) * size_bytes > _MOST_KEPT_BYTES:
        # Frames of another size are what is recorded now.
        for size in [size for size in list(_kept) if size != size_bytes]:
            _kept.pop(size, None)
    if (len(idle) + 1) * size_bytes <= _MOST_KEPT_BYTES:
        idle.append(memory)
