"""Compressing frames beside the thread that records: in worker threads, as long as it gains something.

What gains nothing, and with `auto` what the workers would be late with, is stored as it is: HDF5's filter
mask says so for each chunk, and whoever reads the shard does not notice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from eucentric_core import Frame, crc32c
from eucentric_core.transport import keep_freed_memory
from eucentric_transfer import Compression, StoredChunk, store_array

__all__ = [
    "MOST_PACKING_BYTES",
    "AsPublished",
    "CompressionPolicy",
    "PackedFrame",
    "Packer",
    "Packing",
    "storage_of",
]

CompressionPolicy = Literal["auto", "blosc2-lz4", "none"]
"""`auto`: compress what the workers keep up with. `blosc2-lz4`: wait for them. `none`: never compress."""

_WORKERS = 4
_LOAD_BYTES = 4 << 20
"""Frames that go to a worker together: waking it for each would cost a good part of what it does."""
_HANDED_OVER_BYTES = 1 << 20
"""The checksum alone of a smaller frame is less than handing it over."""
_TRY_AGAIN_AFTER = 64
_MOST_HEADER_BYTES = 64 << 10
"""A longer one is written anew: blanks between its words could make a record too long to be read back."""
MOST_PACKING_BYTES = 16 << 20
"""With more than this being compressed or waiting for it, `auto` stores frames as they are."""


def storage_of(policy: CompressionPolicy) -> Compression:
    """How a shard's data sets are made: chunks that are not compressed may lie in one with a filter."""
    return "blosc2-lz4" if policy == "auto" else policy


class AsPublished(NamedTuple):
    """What a frame's source has made of it: CRC-32C of its array, and its header as JSON; None: not known."""

    crc32c: int | None = None
    header_json: bytes | None = None

    def header_of(self, frame: Frame) -> bytes:
        """The frame's header as JSON."""
        if self.header_json is not None and len(self.header_json) <= _MOST_HEADER_BYTES:
            return self.header_json
        return frame.header.model_dump_json().encode()


_NOTHING = AsPublished()


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


def pack(frame: Frame, compression: Compression, published: AsPublished = _NOTHING) -> PackedFrame:
    """Pack a frame here and now."""
    chunk, known = store_array(frame.array, compression), published.crc32c
    checksum = crc32c(chunk.content) if known is None or chunk.compressed else known
    return PackedFrame(published.header_of(frame), chunk, checksum)


@dataclass(frozen=True, slots=True)
class _Packed:
    frame: PackedFrame

    def result(self) -> PackedFrame:
        return self.frame


class _Load:
    """Frames that one worker packs in one way, one after the other."""

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        self.frames: list[tuple[Frame, AsPublished]] = []
        self.n_bytes = 0
        self.packed: Future[list[PackedFrame]] = Future()

    def run(self, learn: Callable[[Sequence[Frame], _Chunks], None]) -> None:
        # Whoever holds a part of the load need not hold all of its frames. What the future calls back must
        # not hold the load: only the garbage collector would let go of the chunks then, and ever new memory
        # would be taken meanwhile.
        frames, self.frames = self.frames, []
        try:
            packed = [pack(frame, self.compression, published) for frame, published in frames]
            if self.compression != "none":
                learn([frame for frame, _ in frames], packed)
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
        policy: which frames are compressed.
        most_packing_bytes: of `auto`.
    """

    def __init__(self, policy: CompressionPolicy, *, most_packing_bytes: int = MOST_PACKING_BYTES) -> None:
        self._compression = storage_of(policy)
        self._most_packing_bytes = most_packing_bytes if policy == "auto" else None
        self._packing_bytes = 0
        self._packing_lock = threading.Lock()
        self.frames_hurried = 0
        keep_freed_memory()
        self._pool = ThreadPoolExecutor(
            max(1, min(_WORKERS, os.cpu_count() or 1)), thread_name_prefix="packer"
        )
        self._loads: dict[Compression, _Load] = {}
        self._skip: dict[str, int] = {}

    def submit(self, frame: Frame, published: AsPublished = _NOTHING) -> Packing:
        """Begin to pack a frame; its array stays in use until its chunk is written.

        Args:
            frame: to be packed.
            published: what need not be made again.
        """
        stream = frame.header.stream
        left = self._skip.get(stream)
        if left:
            self._skip[stream] = left - 1
        compression: Compression = "none" if left else self._compression
        if compression != "none" and self._is_behind:
            self.frames_hurried += 1
            compression = "none"
        small = published.crc32c is not None or frame.header.nbytes < _HANDED_OVER_BYTES
        if compression == "none" and small:
            return _Packed(pack(frame, compression, published))
        load = self._loads.get(compression)
        if load is None:
            load = self._loads[compression] = _Load(compression)
        part = _PartOfLoad(load, len(load.frames))
        load.frames.append((frame, published))
        load.n_bytes += frame.header.nbytes
        if left == 0 and compression != "none":
            # One frame shows whether it gains something now.
            self._skip[stream] = _TRY_AGAIN_AFTER
        if left == 0 or load.n_bytes >= _LOAD_BYTES:
            self._dispatch(compression)
        return part

    def dispatch(self) -> None:
        """Let the workers have what was submitted."""
        for compression in list(self._loads):
            self._dispatch(compression)

    def _dispatch(self, compression: Compression) -> None:
        load = self._loads.pop(compression)
        if compression == "none":
            self._pool.submit(load.run, self._learn)
        else:
            self._count(load.n_bytes)
            self._pool.submit(self._compress, load)

    def _compress(self, load: _Load) -> None:
        try:
            load.run(self._learn)
        finally:
            self._count(-load.n_bytes)

    @property
    def _is_behind(self) -> bool:
        """Whether the workers would be late with one frame more."""
        if self._most_packing_bytes is None:
            return False
        load = self._loads.get(self._compression)
        return self._packing_bytes + (0 if load is None else load.n_bytes) >= self._most_packing_bytes

    def _count(self, n_bytes: int) -> None:
        with self._packing_lock:
            self._packing_bytes += n_bytes

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown()

    def _learn(self, frames: Sequence[Frame], packed: _Chunks) -> None:
        for frame, stored in zip(frames, packed, strict=True):
            if stored.chunk.compressed:
                self._skip.pop(frame.header.stream, None)
            else:
                self._skip[frame.header.stream] = _TRY_AGAIN_AFTER
