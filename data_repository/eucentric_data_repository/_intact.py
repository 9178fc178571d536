"""Whether a shard's file still is what was registered, asked once for each state of the file in a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from eucentric_core import DataFormatError, IntegrityError, sha256_file

from ._entries import ShardEntry
from ._root_marker import require_root

__all__ = ["require_intact"]

_MAX_REMEMBERED = 65_536

_State = tuple[int, int, int, int]


class _Hashes:
    """Hashes of files by device, inode, time of change and size. Any thread may ask."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: OrderedDict[_State, str] = OrderedDict()

    def of(self, path: Path) -> str:
        before = _state(path)
        with self._lock:
            known = self._known.get(before)
            if known is not None:
                self._known.move_to_end(before)
                return known
        # Two threads may both hash a file: neither waits for a third that hashes another one.
        found = sha256_file(path)
        if _state(path) == before:
            with self._lock:
                self._known[before] = found
                while len(self._known) > self._limit:
                    self._known.popitem(last=False)
        return found


def _state(path: Path) -> _State:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


_hashes = _Hashes(_MAX_REMEMBERED)


def require_intact(root: Path, entry: ShardEntry) -> None:
    """Let a shard pass whose file has the hash it was registered with.

    The whole file is read the first time, and again when its inode, size or time of change is another. Damage
    that leaves all these alone is found by `verify_shards`, and at the first reading by another process.

    Raises:
        IntegrityError: it has another content.
        DataFormatError: it is missing, or cannot be read.
        ServiceUnavailableError: the repository's root is away.
    """
    name = entry.shard.file_name
    try:
        found = _hashes.of(entry.path)
    except OSError as error:
        require_root(root)
        missing = isinstance(error, FileNotFoundError)
        raise DataFormatError(
            f"{name} {'is missing' if missing else f'cannot be read: {error.strerror or error}'}.",
            safe="nothing was read; the catalogue has its hash.",
            next_step="run `eucentric data verify`: it says what to do.",
        ) from error
    if found != entry.shard.sha256:
        raise IntegrityError(
            f"{name} is damaged: it is not what was registered.",
            safe="nothing of it was given.",
            next_step="run `eucentric data verify`, then deliver it again from an archive or its source.",
            expected=entry.shard.sha256,
            found=found,
        )
