"""How files move between machines, and what the files of frames look like on the way."""

from __future__ import annotations

from ._mover import Bandwidth, FarEndError, Mover, OnProgress, Outgoing, Progress, RemoteFile
from ._names import checked_name
from ._open import MOVER_SCHEMES, open_mover
from ._options import MoverOptions
from ._posix import PosixMover
from ._shard_layout import SHARD_FORMAT_VERSION
from ._shard_reader import ShardReader
from ._shard_writer import write_shard

__all__ = [
    "MOVER_SCHEMES",
    "SHARD_FORMAT_VERSION",
    "Bandwidth",
    "FarEndError",
    "Mover",
    "MoverOptions",
    "OnProgress",
    "Outgoing",
    "PosixMover",
    "Progress",
    "RemoteFile",
    "ShardReader",
    "checked_name",
    "open_mover",
    "write_shard",
]
