"""The SQLite files of this room: several processes write to each."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from eucentric_core import open_database

__all__ = ["SharedBook", "open_shared_database"]

_BUSY_TIMEOUT_S = 20.0


def open_shared_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a database, made with its folder if missing; see `eucentric_core.open_database`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_database(path, schema, busy_timeout_s=_BUSY_TIMEOUT_S)


class SharedBook:
    """What is written down in such a file. Threads of this process take turns by its lock.

    Args:
        connection: to the file; closed with the book.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
