"""How the bytes of one frame are stored in a chunk: Blosc2 (bit shuffle, LZ4), or as they are.

A chunk is what HDF5's filter 32026 reads: one contiguous Blosc2 frame that holds one Blosc2 chunk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import blosc2
import numpy as np
import numpy.typing as npt

from eucentric_core import FrameHeader

from ._blosc2_library import LEVEL, compress_by_package, thread_compressor
from ._chunk_memory import lend_memory, whole_blocks
from ._shard_refusal import refuse

__all__ = ["BLOSC2_FILTER", "Compression", "StoredChunk", "max_stored_bytes", "restore_array", "store_array"]

Compression = Literal["blosc2-lz4", "none"]

BLOSC2_FILTER = 32026
_COMPRESSED = 0
_AS_IT_IS = 1
"""HDF5's filter mask of a chunk: bit 0 set, the first filter was left out."""

_MIN_BYTES = 2048
"""Below this the frame around the chunk costs more than the compression gives."""
_WORTH_IT = 0.95
_OVERHEAD_BYTES = 4096
_ONE_THREAD = 1
_KNOWN_SIZES = 256
_SPECIAL_BYTES = 64
"""Blosc2 writes one value that fills an array without its elements; a frame keeps such chunks elsewhere."""
_FRAME_SIZE = struct.Struct(">16xQ")
_COMPRESSED_SIZE = struct.Struct(">39xQ")
"""Where the header of a contiguous Blosc2 frame says how long the frame is, and how long its chunks are."""

# Otherwise a thread that compresses holds up every other one.
blosc2.set_releasegil(True)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The bytes of one array as they go into the file, and HDF5's filter mask for them.

    `blocks`, where there are any: the same memory from the beginning of a block on, with zeros behind the
    content up to the end of its last block.
    """

    content: bytes | memoryview
    filter_mask: int = _AS_IT_IS
    blocks: memoryview | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the content."""
        return len(self.content)

    @property
    def compressed(self) -> bool:
        """Whether the content is a Blosc2 frame."""
        return self.filter_mask == _COMPRESSED


def max_stored_bytes(nbytes: int) -> int:
    """Most bytes that a chunk of an array of `nbytes` may take; a larger one is not ours."""
    return nbytes + nbytes // 128 + _OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What lies around the one chunk of a Blosc2 frame; only two lengths in it depend on the chunk."""

    header: bytes
    trailer: bytes

    def around(self, chunk: bytes) -> bytes:
        """The frame of a chunk."""
        return b"".join((self._header_of(len(chunk)), chunk, self.trailer))

    def close(self, memory: npt.NDArray[np.uint8], chunk_bytes: int) -> StoredChunk:
        """The frame of a chunk that lies in `memory`, as far behind its beginning as the header is long."""
        header, end = self._header_of(chunk_bytes), len(self.header) + chunk_bytes
        size_bytes = end + len(self.trailer)
        memory[: len(header)] = np.frombuffer(header, np.uint8)
        memory[end:size_bytes] = np.frombuffer(self.trailer, np.uint8)
        blocks_bytes = whole_blocks(size_bytes)
        memory[size_bytes:blocks_bytes] = 0
        return StoredChunk(memory[:size_bytes].data, _COMPRESSED, memory[:blocks_bytes].data)

    def _header_of(self, chunk_bytes: int) -> bytearray:
        header = bytearray(self.header)
        struct.pack_into(">Q", header, _FRAME_SIZE.size - 8, len(header) + chunk_bytes + len(self.trailer))
        struct.pack_into(">Q", header, _COMPRESSED_SIZE.size - 8, chunk_bytes)
        return header


@lru_cache(_KNOWN_SIZES)
def _envelope(nbytes: int, itemsize: int) -> _Envelope:
    """The envelope of all frames of one size, as the library makes it.

    Making a frame by the library's own object costs more than the compression, and frees its memory late.
    """
    packed = _library_frame(np.arange(nbytes // itemsize).astype(f"u{itemsize}"))
    chunk, frame = packed.get_chunk(0), packed.to_cframe()
    begin = frame.index(chunk)
    return _Envelope(frame[:begin], frame[begin + len(chunk) :])


def _library_frame(array: npt.NDArray[Any]) -> blosc2.SChunk:
    return blosc2.SChunk(
        chunksize=array.nbytes,
        data=array,
        contiguous=True,
        cparams={
            "codec": blosc2.Codec.LZ4,
            "clevel": LEVEL,
            "filters": [blosc2.Filter.BITSHUFFLE],
            "filters_meta": [0],
            "typesize": array.itemsize,
            "nthreads": _ONE_THREAD,
        },
        dparams={"nthreads": _ONE_THREAD},
    )


def store_array(array: npt.NDArray[Any], compression: Compression) -> StoredChunk:
    """Compress an array, unless that gains nothing. Needs no lock; most of it runs beside other threads.

    Args:
        array: any shape; not copied if contiguous.
        compression: `none` stores it as it is.
    """
    contiguous = np.ascontiguousarray(array)
    if compression == "blosc2-lz4" and contiguous.nbytes >= _MIN_BYTES:
        compressed = _compressed(contiguous)
        if compressed is not None:
            return compressed
    return StoredChunk(contiguous.reshape(-1).view(np.uint8).data)


def _compressed(array: npt.NDArray[Any]) -> StoredChunk | None:
    """None if it does not get smaller by enough."""
    envelope, most_bytes = _envelope(array.nbytes, array.itemsize), int(_WORTH_IT * array.nbytes)
    compressor = thread_compressor(array.itemsize, array.nbytes)
    if compressor is None:
        chunk = compress_by_package(array)
        if len(chunk) > most_bytes:
            return None
        if len(chunk) > _SPECIAL_BYTES:
            return StoredChunk(envelope.around(chunk), _COMPRESSED)
    else:
        begin = len(envelope.header)
        memory = lend_memory(begin + most_bytes + len(envelope.trailer))
        n_bytes = compressor.compress(array, memory[begin : begin + most_bytes])
        if n_bytes == 0:
            return None
        if n_bytes > _SPECIAL_BYTES:
            return envelope.close(memory, n_bytes)
    return StoredChunk(_library_frame(array).to_cframe(), _COMPRESSED)


def restore_array(content: bytes, filter_mask: int, header: FrameHeader) -> npt.NDArray[Any]:
    """The array of a chunk. It is never larger than its header announces.

    Raises:
        DataFormatError: the bytes are not such a chunk.
    """
    if filter_mask == _AS_IT_IS:
        if len(content) != header.nbytes:
            raise refuse(f"A chunk has {len(content)} bytes, its header announces {header.nbytes}.")
        return np.frombuffer(content, dtype=header.dtype).reshape(header.shape)
    if filter_mask != _COMPRESSED:
        raise refuse(f"A chunk has the filter mask {filter_mask}.")
    array = np.empty(header.shape, header.dtype)
    try:
        packed = blosc2.schunk_from_cframe(content)
        # Other codecs may be plug-ins, loaded by name; and nothing may unfold into more than announced.
        if (
            (packed.nchunks, packed.nbytes) != (1, header.nbytes)
            or packed.cparams.codec != blosc2.Codec.LZ4
            or {blosc2.Filter(kind) for kind in packed.cparams.filters}
            - {blosc2.Filter.BITSHUFFLE, blosc2.Filter.NOFILTER}
        ):
            raise refuse("A chunk is not the one Blosc2 chunk that its header announces.")
        packed.decompress_chunk(0, dst=array)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, MemoryError) as error:
        raise refuse(f"A chunk cannot be decompressed: {error}.") from error
    return array
