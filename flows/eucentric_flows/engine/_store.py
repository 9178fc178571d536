"""The file in which deciding keeps its books: events, states, decisions, switches."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import Settings, transaction

from .._database import SharedBook, open_shared_database

__all__ = ["PolicyStore", "policies_file"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    received_utc TEXT NOT NULL, event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_time ON journal (received_utc);
CREATE INDEX IF NOT EXISTS journal_by_kind ON journal (kind, position);
CREATE TABLE IF NOT EXISTS states (policy TEXT PRIMARY KEY, declared TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, policy TEXT NOT NULL, occurrence TEXT NOT NULL,
    event_kind TEXT, status TEXT NOT NULL, reason TEXT NOT NULL, decided_utc TEXT NOT NULL, until_utc TEXT,
    trigger_id TEXT, begins_a_run INTEGER, placed TEXT, ordered_utc TEXT, UNIQUE (policy, occurrence)
);
CREATE INDEX IF NOT EXISTS decisions_by_trigger ON decisions (trigger_id) WHERE trigger_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS decisions_by_time ON decisions (decided_utc);
CREATE INDEX IF NOT EXISTS orders_waiting ON decisions (number)
    WHERE placed IS NOT NULL AND ordered_utc IS NULL;
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER PRIMARY KEY AUTOINCREMENT, policy TEXT NOT NULL, occurrence TEXT NOT NULL,
    at_utc TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS steps_by_occurrence ON steps (policy, occurrence);
CREATE TABLE IF NOT EXISTS answers (
    policy TEXT NOT NULL, occurrence TEXT NOT NULL, approved INTEGER NOT NULL, person TEXT NOT NULL,
    because TEXT NOT NULL DEFAULT '', PRIMARY KEY (policy, occurrence)
);
CREATE TABLE IF NOT EXISTS switches (
    policy TEXT PRIMARY KEY, turned_on INTEGER NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL,
    at_utc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def policies_file(settings: Settings) -> Path:
    """Where a hub keeps these books."""
    return settings.home / "flows" / "policies.sqlite"


class PolicyStore(SharedBook):
    """One SQLite file, for several threads and processes. What belongs together is one transaction."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_shared_database(path, _SCHEMA))
        self._give_what_is_new()

    def _give_what_is_new(self) -> None:
        # A file that an older version made.
        present = {row["name"] for row in self.rows("PRAGMA table_info(answers)")}
        if "because" in present:
            return
        with self.transaction() as connection:
            # Another process may have been faster.
            present = {row["name"] for row in connection.execute("PRAGMA table_info(answers)")}
            if "because" not in present:
                connection.execute("ALTER TABLE answers ADD COLUMN because TEXT NOT NULL DEFAULT ''")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing; within another one, a part of that."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
            else:
                with transaction(self._connection) as connection:
                    yield connection

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def fact(self, name: str) -> str | None:
        """One remembered value."""
        rows = self.rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember one value."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
