"""The journal's database: sessions, and the outbox of what must reach the repository.

SQLite in WAL mode with `synchronous=FULL`: a committed transaction survives a power cut. The exclusive
locking mode keeps a second process out of the folder for as long as this one lives.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from eucentric_core import (
    ConfigurationError,
    DatasetManifest,
    ErrorReport,
    FrozenModel,
    Receipt,
    Shard,
    open_database,
    transaction,
    utc_now,
)

from ._errors import disk_errors

__all__ = ["Ledger", "OutboxEntry", "OutboxState", "SessionRow", "StuckEntry"]

OutboxState = Literal["pending", "delivered", "confirmed", "done", "stuck"]
"""pending: to be sent. delivered: at the far end, hash confirmed. confirmed: receipt stored, the local
file may go. done: nothing left to do. stuck: damaged here, or refused there again and again; kept, not
sent, and a person must look."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY,
    instrument TEXT NOT NULL,
    session TEXT NOT NULL,
    sample TEXT,
    material TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'closing', 'closed')),
    expected_frames INTEGER,
    next_index INTEGER NOT NULL DEFAULT 0,
    next_sequence INTEGER NOT NULL DEFAULT 0,
    missing TEXT NOT NULL DEFAULT '[]',
    UNIQUE (instrument, session)
);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY,
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    kind TEXT NOT NULL CHECK (kind IN ('shard', 'dataset')),
    name TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'confirmed', 'done', 'stuck')),
    attempts INTEGER NOT NULL DEFAULT 0,
    receipt TEXT
);
CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state, id);
CREATE TABLE IF NOT EXISTS quarantined (
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    stream TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    PRIMARY KEY (session_id, stream, sequence)
);
CREATE TABLE IF NOT EXISTS outbox_failures (
    name TEXT PRIMARY KEY REFERENCES outbox (name),
    failures INTEGER NOT NULL,
    report TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session. Acquisitions below `next_sequence` are sealed, or listed in `missing`."""

    id: int
    instrument: str
    session: str
    sample: str | None
    material: str | None
    state: Literal["open", "closing", "closed"]
    expected_frames: int | None
    next_index: int
    next_sequence: int
    missing: tuple[int, ...]

    def reopened(self) -> SessionRow:
        """The row as if the session went on."""
        return replace(self, state="open")


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Something to deliver. `name` is the file's name at the far end, `document` its model as JSON;
    `attempts` counts how often it was delivered.
    """

    name: str
    kind: Literal["shard", "dataset"]
    document: str
    size_bytes: int
    state: OutboxState
    attempts: int


class StuckEntry(FrozenModel):
    """Something that is not sent any more, and why; `error` is None if that was not kept."""

    name: str
    kind: Literal["shard", "dataset"]
    size_bytes: int
    failures: int
    error: ErrorReport | None


def _session_row(row: sqlite3.Row) -> SessionRow:
    return SessionRow(**{**dict(row), "missing": tuple(json.loads(row["missing"]))})


def _advance(
    connection: sqlite3.Connection, session_id: int, index: int, last_sequence: int, missing: Sequence[int]
) -> None:
    """The session goes on behind a shard."""
    row = connection.execute("SELECT missing FROM sessions WHERE id = ?", (session_id,)).fetchone()
    known = json.loads(row["missing"])
    connection.execute(
        "UPDATE sessions SET next_index = ?, next_sequence = ?, missing = ? WHERE id = ?",
        (
            index + 1,
            max(last_sequence, max(missing, default=-1)) + 1,
            json.dumps([*known, *missing]),
            session_id,
        ),
    )


class Ledger:
    """The database. Any thread may call; every method is one transaction.

    Raises:
        ConfigurationError: another process records into this folder.
        OutOfSpaceError, JournalError: the disk under it failed.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        with disk_errors("opening the journal"):
            try:
                self._connection = open_database(path, _SCHEMA, busy_timeout_s=1.0, exclusive=True)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                raise ConfigurationError(
                    f"Another process records into {path.parent}.",
                    safe="nothing was started, the other recording goes on.",
                    next_step="stop the other agent, or give this one a home of its own.",
                ) from error

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock, disk_errors(doing), transaction(self._connection) as connection:
            yield connection

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, disk_errors("reading the journal"):
            return self._connection.execute(statement, values).fetchall()

    def open_session(
        self, instrument: str, session: str, *, sample: str | None, material: str | None
    ) -> SessionRow:
        """The session of this name, made if there is none. What was not said of it before is filled in."""
        with self._transaction("opening a session") as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sessions (instrument, session, sample, material, state) "
                "VALUES (?, ?, ?, ?, 'open')",
                (instrument, session, sample, material),
            )
            if sample or material:
                connection.execute(
                    "UPDATE sessions SET sample = COALESCE(sample, ?), material = COALESCE(material, ?) "
                    "WHERE instrument = ? AND session = ? AND state = 'open'",
                    (sample, material, instrument, session),
                )
        return self._session("instrument = ? AND session = ?", (instrument, session))

    def _session(self, condition: str, values: Sequence[Any]) -> SessionRow:
        return _session_row(self._query(f"SELECT * FROM sessions WHERE {condition}", values)[0])  # noqa: S608

    def unfinished_sessions(self) -> list[SessionRow]:
        """Sessions that are not closed, oldest first."""
        return [
            _session_row(r) for r in self._query("SELECT * FROM sessions WHERE state != 'closed' ORDER BY id")
        ]

    def mark_closing(self, session_id: int, expected_frames: int | None) -> SessionRow:
        """Remember that a session is over, before its last shard is sealed."""
        with self._transaction("closing a session") as connection:
            connection.execute(
                "UPDATE sessions SET state = 'closing', expected_frames = ? WHERE id = ? AND state = 'open'",
                (expected_frames, session_id),
            )
        return self._session("id = ?", (session_id,))

    def record_shard(self, session_id: int, shard: Shard, missing: Sequence[int]) -> None:
        """A shard is sealed: it is to be sent, and the session goes on behind it."""
        with self._transaction("recording a sealed shard") as connection:
            connection.execute(
                "INSERT INTO outbox (session_id, kind, name, document, size_bytes, state) "
                "VALUES (?, 'shard', ?, ?, ?, 'pending')",
                (session_id, shard.file_name, shard.model_dump_json(), shard.size_bytes),
            )
            _advance(connection, session_id, shard.index, shard.last_sequence, missing)

    def record_gap(self, session_id: int, index: int, last_sequence: int, missing: Sequence[int]) -> None:
        """Nothing of a shard is intact: the session goes on behind it, and its acquisitions are missing."""
        with self._transaction("recording a gap") as connection:
            _advance(connection, session_id, index, last_sequence, missing)

    def note_quarantined(self, session_id: int, stream: str, sequence: int, kind: str, file: str) -> None:
        """A frame of a session lies in the quarantine; again does nothing."""
        with self._transaction("noting a frame in quarantine") as connection:
            connection.execute(
                "INSERT OR IGNORE INTO quarantined VALUES (?, ?, ?, ?, ?)",
                (session_id, stream, sequence, kind, file),
            )

    def quarantined(self, session_id: int) -> set[tuple[int, str]]:
        """Frames of a session that are in the quarantine: sequence number and stream."""
        rows = self._query("SELECT sequence, stream FROM quarantined WHERE session_id = ?", (session_id,))
        return {(row["sequence"], row["stream"]) for row in rows}

    def quarantined_kinds(self) -> dict[str, int]:
        """How many frames are in the quarantine, by the kind of reason."""
        rows = self._query("SELECT kind, COUNT(*) AS frames FROM quarantined GROUP BY kind ORDER BY kind")
        return {row["kind"]: row["frames"] for row in rows}

    def receipted(self) -> list[tuple[str, int]]:
        """Shards whose receipt is stored and whose file is still here: name and bytes, oldest first."""
        rows = self._query(
            "SELECT name, size_bytes FROM outbox WHERE kind = 'shard' AND state = 'confirmed' ORDER BY id"
        )
        return [(row["name"], row["size_bytes"]) for row in rows]

    def close_session(self, row: SessionRow, missing: Sequence[int]) -> DatasetManifest:
        """All shards of a session are sealed: its manifest is to be sent.

        Acquisitions of which a frame is in the quarantine are listed as missing, too.
        """
        quarantined = {sequence for sequence, _ in self.quarantined(row.id)}
        with self._transaction("closing a session") as connection:
            known = connection.execute("SELECT missing FROM sessions WHERE id = ?", (row.id,)).fetchone()
            shards = connection.execute(
                "SELECT document FROM outbox WHERE session_id = ? AND kind = 'shard' ORDER BY id", (row.id,)
            ).fetchall()
            manifest = DatasetManifest(
                instrument=row.instrument,
                session=row.session,
                shards=tuple(Shard.model_validate_json(shard["document"]) for shard in shards),
                missing_sequences=tuple(sorted({*json.loads(known["missing"]), *missing, *quarantined})),
                closed_utc=utc_now(),
            )
            document = manifest.model_dump_json()
            connection.execute(
                "INSERT INTO outbox (session_id, kind, name, document, size_bytes, state) "
                "VALUES (?, 'dataset', ?, ?, ?, 'pending')",
                (row.id, f"{manifest.dataset_id}.dataset.json", document, len(document)),
            )
            connection.execute("UPDATE sessions SET state = 'closed' WHERE id = ?", (row.id,))
        return manifest

    def session(self, session_id: int) -> SessionRow | None:
        """A session by its number."""
        rows = self._query("SELECT * FROM sessions WHERE id = ?", (session_id,))
        return _session_row(rows[0]) if rows else None

    def entries_of(self, instrument: str, session: str) -> tuple[SessionRow | None, list[OutboxEntry]]:
        """A session by its name, if there is one, and everything of it that was put into the outbox."""
        rows = self._query(
            "SELECT * FROM sessions WHERE instrument = ? AND session = ?", (instrument, session)
        )
        if not rows:
            return None, []
        row = _session_row(rows[0])
        entries = self._query(
            "SELECT name, kind, document, size_bytes, state, attempts FROM outbox WHERE session_id = ? "
            "ORDER BY id",
            (row.id,),
        )
        return row, [OutboxEntry(**dict(entry)) for entry in entries]

    def shard_names(self) -> frozenset[str]:
        """File names of all shards ever sealed here."""
        return frozenset(row["name"] for row in self._query("SELECT name FROM outbox WHERE kind = 'shard'"))

    def outbox(self, state: OutboxState, *, limit: int = 256) -> list[OutboxEntry]:
        """Entries in a state, oldest first."""
        rows = self._query(
            "SELECT name, kind, document, size_bytes, state, attempts FROM outbox "
            "WHERE state = ? ORDER BY id LIMIT ?",
            (state, limit),
        )
        return [OutboxEntry(**dict(row)) for row in rows]

    def move(self, name: str, state: OutboxState, *, receipt: Receipt | None = None) -> None:
        """Put an entry into another state; a receipt is stored with it, a delivery is counted."""
        with self._transaction("updating the outbox") as connection:
            connection.execute(
                "UPDATE outbox SET state = :state, receipt = COALESCE(:receipt, receipt), "
                "attempts = attempts + (:state = 'delivered') WHERE name = :name",
                {"state": state, "receipt": receipt and receipt.model_dump_json(), "name": name},
            )
            if state in ("confirmed", "done"):
                connection.execute("DELETE FROM outbox_failures WHERE name = ?", (name,))

    def note_failure(self, name: str, error: ErrorReport, *, stuck_after: int = 1) -> bool:
        """Keep why an entry failed. At the `stuck_after`th failure it is stuck; returns whether it is."""
        with self._transaction("noting a failure") as connection:
            connection.execute(
                "INSERT INTO outbox_failures (name, failures, report) VALUES (?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET failures = failures + 1, report = excluded.report",
                (name, error.model_dump_json()),
            )
            moved = connection.execute(
                "UPDATE outbox SET state = 'stuck' WHERE name = ? AND EXISTS (SELECT 1 FROM outbox_failures "
                "WHERE outbox_failures.name = outbox.name AND failures >= ?)",
                (name, stuck_after),
            )
            return moved.rowcount > 0

    def stuck(self, *, limit: int = 256) -> list[StuckEntry]:
        """What is stuck and why, oldest first."""
        rows = self._query(
            "SELECT outbox.name, kind, size_bytes, COALESCE(failures, attempts) AS failures, report "
            "FROM outbox LEFT JOIN outbox_failures ON outbox_failures.name = outbox.name "
            "WHERE state = 'stuck' ORDER BY outbox.id LIMIT ?",
            (limit,),
        )
        return [
            StuckEntry(
                name=row["name"],
                kind=row["kind"],
                size_bytes=row["size_bytes"],
                failures=row["failures"],
                error=ErrorReport.model_validate_json(row["report"]) if row["report"] else None,
            )
            for row in rows
        ]

    def stuck_count(self) -> int:
        """How much is stuck: shards and manifests."""
        (row,) = self._query("SELECT COUNT(*) AS entries FROM outbox WHERE state = 'stuck'")
        return int(row["entries"])

    def is_something_pending(self) -> bool:
        """Whether there is a shard or a manifest to send."""
        return bool(self._query("SELECT 1 FROM outbox WHERE state = 'pending' LIMIT 1"))

    def retry_stuck(self, name: str | None = None) -> tuple[str, ...]:
        """Send what is stuck again, as if for the first time: one entry, or all; returns their names."""
        with self._transaction("sending again what was stuck") as connection:
            chosen = connection.execute(
                "SELECT name FROM outbox WHERE state = 'stuck' AND name = COALESCE(?, name) ORDER BY id",
                (name,),
            ).fetchall()
            for row in chosen:
                connection.execute("DELETE FROM outbox_failures WHERE name = ?", (row["name"],))
                connection.execute(
                    "UPDATE outbox SET state = 'pending', attempts = 0 WHERE name = ?", (row["name"],)
                )
        return tuple(row["name"] for row in chosen)

    def backlog(self) -> dict[OutboxState, tuple[int, int]]:
        """Number of shards and their bytes, by state."""
        rows = self._query(
            "SELECT state, COUNT(*) AS shards, SUM(size_bytes) AS bytes FROM outbox "
            "WHERE kind = 'shard' GROUP BY state"
        )
        return {row["state"]: (row["shards"], row["bytes"]) for row in rows}

    def close(self) -> None:
        """Close the database and let others in."""
        with self._lock:
            self._connection.close()
