"""Writing a shard of frames that are all there: one closed and durable HDF5 file out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eucentric_core import EucentricError, Frame

from ._shard_builder import ShardBuilder
from ._shard_codec import Compression, store_array
from ._shard_layout import is_table

__all__ = ["write_shard"]


def write_shard(
    path: Path, frames: Sequence[Frame], *, software: str, compression: Compression = "blosc2-lz4"
) -> None:
    """Write frames of one session as one HDF5/NeXus file and fsync it.

    The same frames give the same bytes. Give a temporary name: until this returns, the file is incomplete.

    Args:
        path: file to write; overwritten if it exists.
        frames: at least one; any streams, any order.
        software: name and version of the writer, for provenance.
        compression: how the chunks are stored.

    Raises:
        DataFormatError: frames of several sessions, or a sequence number twice in a stream.
        OutOfSpaceError: the disk is full; the partial file is gone.
        OSError: the disk failed in another way; the partial file is gone.
    """
    builder = ShardBuilder(path, software=software, compression=compression)
    try:
        for frame in sorted(frames, key=lambda frame: (frame.header.stream, frame.header.sequence)):
            if is_table(frame.header) or not frame.header.shape or not frame.array.size:
                builder.append_rows(frame.header, frame.array)
            else:
                builder.append_chunk(frame.header, store_array(frame.array, compression))
                builder.write_chunks()
        builder.close()
    except (EucentricError, OSError):
        builder.abandon()
        path.unlink(missing_ok=True)
        raise
