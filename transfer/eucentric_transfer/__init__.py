"""How files move between machines, and what the files of frames look like on the way."""

from __future__ import annotations

from ._mover import Bandwidth, FarEndError, Mover, OnProgress, Outgoing, Progress, RemoteFile
from ._names import checked_name
from ._open import MOVER_SCHEMES, check_address, open_mover
from ._options import MoverOptions
from ._posix import PosixMover
from ._shard_builder import ChunkPlace, ShardBuilder, flush_to_disk
from ._shard_codec import Compression, StoredChunk, store_array
from ._shard_layout import MAX_STREAMS, SHARD_FORMAT_VERSION, is_table
from ._shard_reader import ShardReader
from ._shard_writer import write_shard

__all__ = [
    "MAX_STREAMS",
    "MOVER_SCHEMES",
    "SHARD_FORMAT_VERSION",
    "Bandwidth",
    "ChunkPlace",
    "Compression",
    "FarEndError",
    "Mover",
    "MoverOptions",
    "OnProgress",
    "Outgoing",
    "PosixMover",
    "Progress",
    "RemoteFile",
    "ShardBuilder",
    "ShardReader",
    "StoredChunk",
    "check_address",
    "checked_name",
    "flush_to_disk",
    "is_table",
    "open_mover",
    "store_array",
    "write_shard",
]
