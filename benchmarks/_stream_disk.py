"""What the disk does by itself: frames into one file, in the ways that recording is compared with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eucentric_transfer._chunk_memory import lend_memory

__all__ = ["GROUP_BYTES", "WAYS", "Pool", "timed", "write_h5py"]

GROUP_BYTES = 32 << 20
"""What the recorder acknowledges at a time, after a flush."""
_WRITE_BYTES = 4 << 20

_Array = np.ndarray[Any, np.dtype[np.uint16]]


class Pool:
    """A few frames that are written again and again, in memory that may be written past the page cache: in
    huge pages, where there are any, because a disk takes fewer and larger pieces faster.

    Args:
        arrays: uint16, all of one shape; their length a multiple of 4096 bytes.
        frames: how many are written.
    """

    def __init__(self, arrays: list[_Array], frames: int) -> None:
        self.frames = frames
        self.arrays: list[_Array] = []
        for array in arrays:
            memory = lend_memory(array.nbytes).view(np.uint16).reshape(array.shape)
            memory[:] = array
            self.arrays.append(memory)

    def each(self) -> islice[_Array]:
        """The frames in their order."""
        return islice(cycle(self.arrays), self.frames)


def write_cached(path: Path, pool: Pool) -> None:
    """Through the page cache, flushed for each group."""
    unsafe = 0
    with path.open("wb", buffering=0) as file:
        for array in pool.each():
            file.write(array.data)
            unsafe += array.nbytes
            if unsafe >= GROUP_BYTES:
                os.fdatasync(file.fileno())
                unsafe = 0
        os.fdatasync(file.fileno())


def write_direct(path: Path, pool: Pool, group_bytes: int = GROUP_BYTES) -> None:
    """Past the page cache, several frames at a time, flushed for each group."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o600)
    waiting: list[memoryview] = []
    at = waiting_bytes = unsafe = 0
    try:
        for number, array in enumerate(pool.each()):
            waiting.append(array.data.cast("B"))
            waiting_bytes += array.nbytes
            if waiting_bytes < _WRITE_BYTES and number < pool.frames - 1:
                continue
            if os.pwritev(descriptor, waiting, at) != waiting_bytes:
                raise OSError(f"{path} took a part of a write only")
            at, unsafe = at + waiting_bytes, unsafe + waiting_bytes
            waiting, waiting_bytes = [], 0
            if unsafe >= group_bytes:
                os.fdatasync(descriptor)
                unsafe = 0
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def write_once(path: Path, pool: Pool) -> None:
    """Past the page cache, flushed at the end: what was written before a power cut may be lost."""
    write_direct(path, pool, group_bytes=1 << 62)


WAYS: dict[str, Callable[[Path, Pool], None]] = {
    "cached": write_cached,
    "direct": write_direct,
    "once": write_once,
}
"""By the names that the figures have."""


def write_h5py(path: Path, pool: Pool) -> None:
    """As scripts do it: one data set that grows by a frame at a time; flushed once, at the end."""
    shape = pool.arrays[0].shape
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (0, *shape), np.uint16, maxshape=(None, *shape), chunks=(1, *shape)
        )
        for index, array in enumerate(pool.each()):
            data.resize(index + 1, axis=0)
            data[index] = array
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def timed(write: Callable[[Path, Pool], None], path: Path, pool: Pool) -> float:
    """Seconds, with a disk that has nothing else to do before and after."""
    os.sync()
    began_s = time.monotonic()
    write(path, pool)
    took_s = time.monotonic() - began_s
    path.unlink()
    return took_s
