"""One way to open our SQLite files: durable, shared with bounded waiting or held alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["open_database", "transaction"]


def open_database(
    path: Path, schema: str, *, busy_timeout_s: float, exclusive: bool = False
) -> sqlite3.Connection:
    """Open a database, made if missing; a committed transaction survives a power cut.

    WAL mode, `synchronous=FULL`, foreign keys checked, rows by name, transactions begun by hand
    (see `transaction`). Any thread may use the connection, one at a time.

    Args:
        path: the file; its folder exists.
        schema: statements that may be repeated (`IF NOT EXISTS`).
        busy_timeout_s: longest wait for another process's lock.
        exclusive: keep every other process out for as long as the connection is open.

    Raises:
        sqlite3.Error: the file cannot be opened, or another process holds it; nothing stays open.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_s, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        if exclusive:
            # Before the first access, or the journal's index is shared memory that others may map.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(schema)
        if exclusive:
            # The lock is taken with the first write.
            with transaction(connection):
                pass
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything in the block happens, or nothing; other writers wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
