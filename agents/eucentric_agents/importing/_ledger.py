"""What was imported into which session: a file is known when it comes again, and goes on where it was."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eucentric_core import open_database, transaction

from ..recording import disk_errors
from ._errors import ImportConflictError

__all__ = ["ImportLedger", "ImportedFile"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    instrument TEXT NOT NULL,
    session TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (instrument, session)
);
CREATE TABLE IF NOT EXISTS files (
    instrument TEXT NOT NULL,
    session TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    given TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('recording', 'done')),
    PRIMARY KEY (instrument, session, sha256),
    FOREIGN KEY (instrument, session) REFERENCES sessions (instrument, session)
);
"""
_COLUMNS = "name, sha256, given, first_sequence, frames, state"


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file of a session and its acquisitions; while `recording`, they may not all be in the journal."""

    name: str
    sha256: str
    given: str
    first_sequence: int
    frames: int
    state: Literal["recording", "done"]


class ImportLedger:
    """The imports of one session.

    Args:
        path: the database, made if missing; its folder exists.
        instrument: whose session.
        session: its name.

    Raises:
        ConfigurationError: another import runs.
        OutOfSpaceError, JournalError: the disk failed.
    """

    def __init__(self, path: Path, instrument: str, session: str) -> None:
        self._key = (instrument, session)
        with disk_errors("opening the list of imports"):
            try:
                self._connection = open_database(path, _SCHEMA, busy_timeout_s=1.0, exclusive=True)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                raise ImportConflictError(
                    "Another import runs with this home.",
                    safe="nothing was imported.",
                    next_step="wait for it, or import with another home (--home).",
                ) from error

    @property
    def known(self) -> bool:
        """Whether anything was ever imported into this session."""
        return self._session() is not None

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        row = self._session()
        return row is not None and bool(row["closed"])

    def files(self) -> list[ImportedFile]:
        """Its files, in the order of their acquisitions."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM files WHERE instrument = ? AND session = ? "  # noqa: S608
            "ORDER BY first_sequence",
            self._key,
        ).fetchall()
        return [ImportedFile(**dict(row)) for row in rows]

    def next_sequence(self) -> int:
        """The number of the first acquisition of the next file."""
        return max((file.first_sequence + file.frames for file in self.files()), default=0)

    def begin(self, file: ImportedFile) -> None:
        """Reserve the acquisitions of a file; durable before the first of them is recorded."""
        with disk_errors("noting an import"), transaction(self._connection) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sessions (instrument, session) VALUES (?, ?)", self._key
            )
            connection.execute(
                f"INSERT INTO files (instrument, session, {_COLUMNS}) "  # noqa: S608
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'recording')",
                (*self._key, file.name, file.sha256, file.given, file.first_sequence, file.frames),
            )

    def forget(self, sha256: str) -> None:
        """A file of which nothing was recorded."""
        with disk_errors("noting an import"), transaction(self._connection) as connection:
            connection.execute(
                "DELETE FROM files WHERE instrument = ? AND session = ? AND sha256 = ?", (*self._key, sha256)
            )

    def finish(self, sha256: str) -> None:
        """All acquisitions of a file are durable in the journal."""
        with disk_errors("noting an import"), transaction(self._connection) as connection:
            connection.execute(
                "UPDATE files SET state = 'done' WHERE instrument = ? AND session = ? AND sha256 = ?",
                (*self._key, sha256),
            )

    def close_session(self) -> None:
        """The session is over."""
        with disk_errors("noting an import"), transaction(self._connection) as connection:
            connection.execute(
                "UPDATE sessions SET closed = 1 WHERE instrument = ? AND session = ?", self._key
            )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _session(self) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection.execute(
            "SELECT closed FROM sessions WHERE instrument = ? AND session = ?", self._key
        ).fetchone()
        return found
