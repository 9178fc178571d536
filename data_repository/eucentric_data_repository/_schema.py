"""The catalogue's database: opening it for writing or for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from eucentric_core import ServiceUnavailableError, open_database

__all__ = ["open_for_reading", "open_for_writing", "reading"]

_BUSY_TIMEOUT_S = 10.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS datasets (
    dataset_id TEXT PRIMARY KEY,
    instrument TEXT NOT NULL,
    session TEXT NOT NULL,
    sample TEXT,
    material TEXT,
    simulated INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'complete')),
    manifest TEXT,
    first_registered_utc TEXT NOT NULL,
    completed_utc TEXT,
    UNIQUE (instrument, session)
);
CREATE TABLE IF NOT EXISTS shards (
    idempotency_key TEXT PRIMARY KEY,
    dataset_id TEXT NOT NULL REFERENCES datasets (dataset_id),
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    document TEXT NOT NULL,
    registered_by TEXT NOT NULL,
    registered_utc TEXT NOT NULL,
    registered_with TEXT NOT NULL,
    recorded_with TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS shards_by_dataset ON shards (dataset_id, first_sequence);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database, made if missing; a committed transaction survives a power cut."""
    return open_database(path, SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a typed one.

    Raises:
        ServiceUnavailableError: the catalogue cannot be read.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise ServiceUnavailableError(
            f"The catalogue {path} cannot be read: {error}.",
            safe="nothing was changed.",
            next_step="check the repository's root and that its service has run there.",
        ) from error


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The database of a repository, never changed through this connection.

    Raises:
        ServiceUnavailableError: there is none, or it cannot be read.
    """
    with reading(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_TIMEOUT_S,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("SELECT 1 FROM datasets LIMIT 1")
    return connection
