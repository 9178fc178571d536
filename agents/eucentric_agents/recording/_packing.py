"""Compressing frames beside the thread that records: in worker threads, as long as it gains something."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from eucentric_core import Frame
from eucentric_core.transport import keep_freed_memory
from eucentric_transfer import Compression, StoredChunk, store_array

from ._checksum import crc32c

__all__ = ["PackedFrame", "Packer", "Packing"]

_WORKERS = 4
_LOAD_BYTES = 4 << 20
"""Frames that go to a worker together: waking it for each would cost a good part of what it does."""
_TRY_AGAIN_AFTER = 64


@dataclass(frozen=True, slots=True)
class PackedFrame:
    """A frame as it is stored: its header as JSON, its chunk, the CRC-32C of the chunk."""

    header_json: bytes
    chunk: StoredChunk
    checksum: int


_Chunks = Sequence[PackedFrame]


class Packing(Protocol):
    """A frame that is being packed."""

    def result(self) -> PackedFrame:
        """The packed frame, as soon as it is done; whatever packing it raised."""
        ...


def pack(frame: Frame, compression: Compression) -> PackedFrame:
    """Pack a frame here and now."""
    chunk = store_array(frame.array, compression)
    return PackedFrame(frame.header.model_dump_json().encode(), chunk, crc32c(chunk.content))


@dataclass(frozen=True, slots=True)
class _Packed:
    frame: PackedFrame

    def result(self) -> PackedFrame:
        return self.frame


class _Load:
    """Frames that one worker packs, one after the other."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.n_bytes = 0
        self.packed: Future[list[PackedFrame]] = Future()

    def run(self, compression: Compression, learn: Callable[[Sequence[Frame], _Chunks], None]) -> None:
        # Whoever holds a part of the load need not hold all of its frames. What the future calls back must
        # not hold the load: only the garbage collector would let go of the chunks then, and ever new memory
        # would be taken meanwhile.
        frames, self.frames = self.frames, []
        try:
            packed = [pack(frame, compression) for frame in frames]
            learn(frames, packed)
            self.packed.set_result(packed)
        except BaseException as error:  # noqa: BLE001
            self.packed.set_exception(error)


@dataclass(frozen=True, slots=True)
class _PartOfLoad:
    load: _Load
    index: int

    def result(self) -> PackedFrame:
        return self.load.packed.result()[self.index]


class Packer:
    """Packs frames in worker threads. One thread submits, and calls `dispatch` before anybody waits.

    A stream whose last frame could not be compressed is stored as it is; every so often it is tried again.

    Args:
        compression: `none` never compresses.
    """

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        keep_freed_memory()
        self._pool = ThreadPoolExecutor(
            max(1, min(_WORKERS, os.cpu_count() or 1)), thread_name_prefix="packer"
        )
        self._load = _Load()
        self._skip: dict[str, int] = {}

    def submit(self, frame: Frame) -> Packing:
        """Begin to pack a frame; its array stays in use until its chunk is written."""
        stream = frame.header.stream
        left = self._skip.get(stream)
        if self.compression == "none" or left:
            if left:
                self._skip[stream] = left - 1
            # A checksum alone is less than handing it over.
            return _Packed(pack(frame, "none"))
        load = self._load
        part = _PartOfLoad(load, len(load.frames))
        load.frames.append(frame)
        load.n_bytes += frame.header.nbytes
        if left is not None:
            # One frame shows whether it gains something now.
            self._skip[stream] = _TRY_AGAIN_AFTER
        if left is not None or load.n_bytes >= _LOAD_BYTES:
            self.dispatch()
        return part

    def dispatch(self) -> None:
        """Let the workers have what was submitted."""
        load = self._load
        if load.frames:
            self._load = _Load()
            self._pool.submit(load.run, self.compression, self._learn)

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown()

    def _learn(self, frames: Sequence[Frame], packed: _Chunks) -> None:
        for frame, stored in zip(frames, packed, strict=True):
            if stored.chunk.compressed:
                self._skip.pop(frame.header.stream, None)
            else:
                self._skip[frame.header.stream] = _TRY_AGAIN_AFTER
