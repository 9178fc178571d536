"""How the bytes of one frame are stored in a chunk: Blosc2 (bit shuffle, LZ4), or as they are.

A chunk is what HDF5's filter 32026 reads: one contiguous Blosc2 frame that holds one Blosc2 chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import blosc2
import numpy as np
import numpy.typing as npt

from eucentric_core import FrameHeader

from ._shard_refusal import refuse

__all__ = ["BLOSC2_FILTER", "Compression", "StoredChunk", "max_stored_bytes", "restore_array", "store_array"]

Compression = Literal["blosc2-lz4", "none"]

BLOSC2_FILTER = 32026
_COMPRESSED = 0
_AS_IT_IS = 1
"""HDF5's filter mask of a chunk: bit 0 set, the first filter was left out."""

_LEVEL = 5
_MIN_BYTES = 2048
"""Below this the frame around the chunk costs more than the compression gives."""
_WORTH_IT = 0.95
_OVERHEAD_BYTES = 4096
_ONE_THREAD = 1

# Otherwise a thread that compresses holds up every other one.
blosc2.set_releasegil(True)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The bytes of one array as they go into the file, and HDF5's filter mask for them."""

    content: bytes | memoryview
    filter_mask: int = _AS_IT_IS

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


def store_array(array: npt.NDArray[Any], compression: Compression) -> StoredChunk:
    """Compress an array, unless that gains nothing. Needs no lock; most of it runs beside other threads.

    Args:
        array: any shape; not copied if contiguous.
        compression: `none` stores it as it is.
    """
    contiguous = np.ascontiguousarray(array)
    if compression == "blosc2-lz4" and contiguous.nbytes >= _MIN_BYTES:
        packed = blosc2.SChunk(
            chunksize=contiguous.nbytes,
            data=contiguous,
            contiguous=True,
            cparams={
                "codec": blosc2.Codec.LZ4,
                "clevel": _LEVEL,
                "filters": [blosc2.Filter.BITSHUFFLE],
                "filters_meta": [0],
                "typesize": contiguous.itemsize,
                "nthreads": _ONE_THREAD,
            },
            dparams={"nthreads": _ONE_THREAD},
        )
        content = packed.to_cframe()
        if len(content) <= _WORTH_IT * contiguous.nbytes:
            return StoredChunk(content, _COMPRESSED)
    return StoredChunk(contiguous.reshape(-1).view(np.uint8).data)


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
