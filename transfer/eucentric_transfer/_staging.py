"""Copying buffers into memory that a disk takes faster, in as few steps as there can be.

A frame in shared memory lies in pages of 4 KiB; copying it into huge ones costs a fraction of what the disk
gains. But after each step the copying thread waits for Python's lock, for longer than a frame's copy takes:
what follows each other in memory is copied at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

from ._chunk_memory import address_of, lend_memory

__all__ = ["STAGED_BYTES", "stage"]

STAGED_BYTES = 32 << 20
"""Lent at a time, always as much, so that it can be used again: a buffer may not be longer."""


class _Copy(NamedTuple):
    """Addresses, and a length in bytes."""

    target: int
    source: int
    n_bytes: int

    def joined(self, other: _Copy) -> _Copy | None:
        """Both in one, if the other follows this one in both places."""
        follows = (self.target + self.n_bytes, self.source + self.n_bytes) == (other.target, other.source)
        return self._replace(n_bytes=self.n_bytes + other.n_bytes) if follows else None


def stage(buffers: Sequence[bytes | memoryview]) -> list[memoryview]:
    """Copies of buffers, one behind the other, in memory that is lent; each of `STAGED_BYTES` at most."""
    if not buffers:
        return []
    staged: list[memoryview] = []
    copies: list[_Copy] = []
    memory, used = lend_memory(STAGED_BYTES), 0
    for buffer in buffers:
        n_bytes = len(buffer)
        if used + n_bytes > STAGED_BYTES:
            memory, used = lend_memory(STAGED_BYTES), 0
        place = memory[used : used + n_bytes].data
        used += n_bytes
        staged.append(place)
        copy = _Copy(address_of(place), address_of(buffer), n_bytes)
        if copies and (joined := copies[-1].joined(copy)) is not None:
            copies[-1] = joined
        else:
            copies.append(copy)
    for copy in copies:
        ctypes.memmove(*copy)
    return staged
