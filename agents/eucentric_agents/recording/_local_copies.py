"""Shards the repository has, kept here as a copy while there is room: freed oldest first, never any other."""

from __future__ import annotations

import shutil
import threading

from ._errors import disk_errors
from ._folders import Folders
from ._ledger import Ledger
from ._steps import reached

__all__ = ["LocalCopies"]


class LocalCopies:
    """Frees local shards whose receipt is in the ledger. Any thread may call.

    Args:
        keep_bytes: how much of them may stay.
    """

    def __init__(self, folders: Folders, ledger: Ledger, *, keep_bytes: int) -> None:
        self._folders = folders
        self._ledger = ledger
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What is kept here though the repository has it."""
        return sum(size for _, size in self._ledger.receipted())

    def trim(self) -> None:
        """Free the oldest until no more is kept than may be.

        Raises:
            OutOfSpaceError, JournalError: the disk failed.
        """
        with self._lock:
            copies = self._ledger.receipted()
            kept = sum(size for _, size in copies)
            for name, size in copies:
                if kept <= self._keep_bytes:
                    return
                self._free(name)
                kept -= size

    def make_room(self, wanted_bytes: int) -> None:
        """Free copies, oldest first, until so much is free on the disk or none is left."""
        with self._lock:
            for name, _ in self._ledger.receipted():
                if shutil.disk_usage(self._folders.root).free >= wanted_bytes:
                    return
                self._free(name)

    def let_go(self, n_bytes: int) -> bool:
        """Free copies of so many bytes, oldest first, whatever the disk says of its room; whether any was.

        A quota, and what the file system keeps for itself, are not in the number it gives.
        """
        freed_bytes = 0
        with self._lock:
            for name, size in self._ledger.receipted():
                if freed_bytes > n_bytes:
                    break
                self._free(name)
                freed_bytes += size
        return freed_bytes > 0

    def _free(self, name: str) -> None:
        with disk_errors("removing a shard the repository holds"):
            (self._folders.shards / name).unlink(missing_ok=True)
        reached("delete.removed")
        self._ledger.move(name, "done")
        reached("delete.noted")
