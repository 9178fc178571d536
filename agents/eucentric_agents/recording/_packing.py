"""Compressing frames beside the thread that records: in worker threads, as long as it gains something."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from eucentric_core import Frame
from eucentric_transfer import Compression, StoredChunk, store_array

__all__ = ["PackedFrame", "Packer"]

_WORKERS = 4
_TRY_AGAIN_AFTER = 32


@dataclass(frozen=True, slots=True)
class PackedFrame:
    """A frame as it is stored: its header as JSON, its chunk, the CRC-32 of the chunk."""

    header_json: bytes
    chunk: StoredChunk
    crc32: int


def _pack(frame: Frame, compression: Compression) -> PackedFrame:
    chunk = store_array(frame.array, compression)
    return PackedFrame(frame.header.model_dump_json().encode(), chunk, zlib.crc32(chunk.content))


class Packer:
    """Packs frames in worker threads. One thread submits.

    A stream whose last frame could not be compressed is stored as it is; every so often it is tried again.

    Args:
        compression: `none` never compresses.
    """

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        self.workers = max(1, min(_WORKERS, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="packer")
        self._skip: dict[str, int] = {}

    def submit(self, frame: Frame) -> Future[PackedFrame]:
        """Begin to pack a frame; its array stays in use until then."""
        stream = frame.header.stream
        left = self._skip.get(stream, 0)
        if self.compression == "none" or left:
            self._skip[stream] = max(0, left - 1)
            return self._pool.submit(_pack, frame, "none")
        packed = self._pool.submit(_pack, frame, self.compression)
        packed.add_done_callback(lambda done: self._learn(stream, done))
        return packed

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown()

    def _learn(self, stream: str, done: Future[PackedFrame]) -> None:
        if done.exception() is None and not done.result().chunk.compressed:
            self._skip[stream] = _TRY_AGAIN_AFTER
