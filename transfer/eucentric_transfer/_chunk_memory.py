"""Memory for the bytes of chunks: it begins at a block, and is used again when nobody refers to it any more.

Fresh memory for each frame costs more than half of what its compression does: the system finds, clears and
maps each page, and takes it away again, in every processor that the process runs on. It lies in huge pages,
where the system has some for who asks: past the page cache a disk is given a piece for each page, and takes
few large ones up to twice as fast as many of 4 KiB.
"""

from __future__ import annotations

import mmap
import weakref
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK_BYTES", "address_of", "has_huge_pages", "is_lent", "lend_memory", "whole_blocks"]

BLOCK_BYTES = 4096
_HUGE_PAGE_BYTES = 2 << 20
_SLAB_BYTES = 32 << 20
"""Mapped at a time, for several pieces of one length."""
_MOST_KEPT_BYTES = 256 << 20
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_Piece = tuple[mmap.mmap, int]
"""A slab, and where in it the piece begins (bytes)."""

_kept: dict[int, deque[_Piece]] = {}
"""Memory that nobody uses, by its length (bytes). Without a lock: memory may come back at any time, also in
the middle of a line of this module."""

_slabs: dict[int, int] = {}
"""Where slabs begin and end (addresses)."""


@cache
def has_huge_pages() -> bool:
    """Whether memory that is lent here lies in huge pages."""
    try:
        return "[never]" not in _HUGE_PAGES.read_text() and hasattr(mmap, "MADV_HUGEPAGE")
    except OSError:
        return False


def whole_blocks(n_bytes: int) -> int:
    """Length of the blocks that so many bytes lie in, if they begin with one (bytes)."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


def address_of(buffer: bytes | memoryview) -> int:
    """Where a buffer lies in memory."""
    return int(np.frombuffer(buffer, np.uint8).__array_interface__["data"][0])


def is_lent(address: int) -> bool:
    """Whether what lies there was lent here."""
    return any(begin <= address < end for begin, end in list(_slabs.items()))


def lend_memory(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Memory that begins at a block, uint8 of shape `(whole_blocks(n_bytes),)`; its content is undefined.

    It is used again when nothing refers to it, or to any view of it. Any thread.
    """
    size_bytes = max(BLOCK_BYTES, whole_blocks(n_bytes))
    try:
        slab, begin = _kept[size_bytes].pop()
    except (KeyError, IndexError):
        slab, begin = _new_slab(size_bytes)
    lent = np.frombuffer(slab, np.uint8, size_bytes, begin)
    weakref.finalize(lent, _take_back, slab, begin, size_bytes).atexit = False
    return lent


def _new_slab(size_bytes: int) -> _Piece:
    """A piece; the others of its slab are kept for later."""
    pieces = max(1, _SLAB_BYTES // size_bytes)
    slab = _map(pieces * size_bytes + _HUGE_PAGE_BYTES)
    address = address_of(memoryview(slab))
    _slabs[address] = address + len(slab)
    weakref.finalize(slab, _slabs.pop, address, None).atexit = False
    begin = -address % _HUGE_PAGE_BYTES
    _kept.setdefault(size_bytes, deque()).extend(
        (slab, begin + piece * size_bytes) for piece in range(pieces - 1, 0, -1)
    )
    return slab, begin


def _map(n_bytes: int) -> mmap.mmap:
    if not has_huge_pages():
        return mmap.mmap(-1, n_bytes)
    slab = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        # Small pages do as well.
        slab.madvise(mmap.MADV_HUGEPAGE)
    return slab


def _take_back(slab: mmap.mmap, begin: int, size_bytes: int) -> None:
    others_bytes = sum(size * len(idle) for size, idle in list(_kept.items()) if size != size_bytes)
    idle = _kept.setdefault(size_bytes, deque())
    if others_bytes + (len(idle) + 1) * size_bytes > _MOST_KEPT_BYTES:
        # Frames of another size are what is recorded now.
        for size in [size for size in list(_kept) if size != size_bytes]:
            _kept.pop(size, None)
    if (len(idle) + 1) * size_bytes <= _MOST_KEPT_BYTES:
        idle.append((slab, begin))
