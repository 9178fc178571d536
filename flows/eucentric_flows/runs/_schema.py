"""The tables of the record of runs, and how older files get what is new."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from eucentric_core import transaction

from .._database import open_shared_database

__all__ = ["open_runs"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    trigger_id TEXT PRIMARY KEY, kind TEXT NOT NULL, policy TEXT, model TEXT NOT NULL,
    triggered_by TEXT NOT NULL CHECK (triggered_by IN ('policy', 'manual')),
    flow_run_id TEXT, admitted INTEGER NOT NULL, attempt INTEGER NOT NULL, request TEXT NOT NULL,
    requested_utc TEXT NOT NULL, started_utc TEXT NOT NULL, heartbeat_utc TEXT NOT NULL,
    ended_utc TEXT, outcome TEXT, reason TEXT NOT NULL DEFAULT '', version INTEGER
);
CREATE TABLE IF NOT EXISTS stages (
    trigger_id TEXT NOT NULL REFERENCES runs, attempt INTEGER NOT NULL, name TEXT NOT NULL,
    started_utc TEXT NOT NULL, ended_utc TEXT, message TEXT NOT NULL DEFAULT '', error TEXT,
    PRIMARY KEY (trigger_id, attempt, name)
);
CREATE TABLE IF NOT EXISTS waits (
    trigger_id TEXT NOT NULL REFERENCES runs, attempt INTEGER NOT NULL, stage TEXT NOT NULL,
    reason TEXT NOT NULL, began_utc TEXT NOT NULL, ended_utc TEXT
);
CREATE INDEX IF NOT EXISTS waits_of_run ON waits (trigger_id);
CREATE TABLE IF NOT EXISTS flow_runs (
    flow_run_id TEXT PRIMARY KEY, trigger_id TEXT NOT NULL REFERENCES runs, attempt INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started_utc);
"""

_LATER = {
    "cancel_utc": "TEXT",
    "cancelled_by": "TEXT",
    "resumed_utc": "TEXT",
    "first_answer_utc": "TEXT",
    "resumes": "INTEGER NOT NULL DEFAULT 0",
}


def open_runs(path: Path) -> sqlite3.Connection:
    """Open a record; one that an older version wrote gets the columns that it lacks."""
    connection = open_shared_database(path, _SCHEMA)
    present = {row["name"] for row in connection.execute("PRAGMA table_info(runs)")}
    if missing := _LATER.keys() - present:
        with transaction(connection):
            # Another process may have been faster.
            present = {row["name"] for row in connection.execute("PRAGMA table_info(runs)")}
            for name in sorted(missing - present):
                connection.execute(f"ALTER TABLE runs ADD COLUMN {name} {_LATER[name]}")
    return connection
