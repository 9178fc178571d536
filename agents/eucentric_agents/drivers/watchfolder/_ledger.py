"""What was taken from a folder, for good: by content, so that a file is taken once under whatever name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from eucentric_core import ConfigurationError, open_database, transaction, utc_now

from ._watch import Finished

__all__ = ["Ledger"]

_MAX_ENTRIES = 1_000_000
_PRUNED_AT_ONCE = 1000
_BUSY_TIMEOUT_S = 0.5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    sha256 TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    images INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    changed_utc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS files_by_path ON files (path);
CREATE INDEX IF NOT EXISTS files_by_age ON files (changed_utc);
"""


class Ledger:
    """The taken files in a SQLite database of this process's own. Any thread may use it, one at a time.

    Args:
        path: the file; folders are made.

    Raises:
        ConfigurationError: it cannot be opened, or another process holds it.
    """

    def __init__(self, path: Path, *, max_entries: int = _MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = open_database(path, _SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S, exclusive=True)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The ledger {path} cannot be opened: {error}.",
                safe="nothing was taken.",
                next_step="check agent.driver.ledger, and that no other agent watches with the same ledger.",
            ) from error

    def close(self) -> None:
        """Let other processes have it."""
        self._database.close()

    def has_taken(self, file: Finished) -> bool:
        """Whether all of a file was taken, judged by its path, size and time stamp."""
        row = self._database.execute(
            "SELECT 1 FROM files WHERE path = ? AND size_bytes = ? AND mtime_ns = ? AND taken = images",
            (str(file.path), file.size_bytes, file.mtime_ns),
        ).fetchone()
        return row is not None

    def taken(self, sha256: str) -> tuple[int, int] | None:
        """How many images of this content were taken, and how many it has; None: it is new."""
        row = self._database.execute("SELECT taken, images FROM files WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row is None else (int(row["taken"]), int(row["images"]))

    def note(self, file: Finished, sha256: str, *, taken: int, images: int) -> None:
        """So many images of this content are taken now; durable when this returns."""
        with transaction(self._database) as database:
            database.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
                "taken = excluded.taken, changed_utc = excluded.changed_utc",
                (
                    sha256,
                    str(file.path),
                    file.size_bytes,
                    file.mtime_ns,
                    images,
                    taken,
                    utc_now().isoformat(),
                ),
            )
            self._prune(database)

    def _prune(self, database: sqlite3.Connection) -> None:
        (entries,) = database.execute("SELECT COUNT(*) FROM files").fetchone()
        if entries <= self._max_entries:
            return
        oldest = database.execute(
            "SELECT sha256, path FROM files ORDER BY changed_utc LIMIT ?", (_PRUNED_AT_ONCE,)
        ).fetchall()
        # What still lies in the folder would be taken again. A folder that is away is not an empty one.
        gone = [
            (row["sha256"],)
            for row in oldest
            if Path(row["path"]).parent.is_dir() and not Path(row["path"]).exists()
        ]
        database.executemany("DELETE FROM files WHERE sha256 = ?", gone)
