"""The journal's database: sessions, and the outbox of what must reach the repository.

SQLite in WAL mode with `synchronous=FULL`: a committed transaction survives a power cut. The exclusive
locking mode keeps a second process out of the folder for as long as this one lives.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eucentric_core import (
    ConfigurationError,
    DatasetManifest,
    ErrorReport,
    Receipt,
    Shard,
    transaction,
    utc_now,
)

from ._errors import JournalError, disk_errors
from ._ledger_facts import (
    AsideFact,
    ClosedFact,
    Fact,
    GapFact,
    OverFact,
    ReceiptFact,
    SessionFact,
    ShardFact,
    apply_fact,
    runs,
)
from ._ledger_rows import OutboxEntry, OutboxState, SessionRow, StuckEntry, session_row
from ._ledger_truth import LedgerFinding, SetAside, is_damage, open_ledger
from ._steps import reached

__all__ = ["Ledger", "OutboxEntry", "OutboxState", "SessionRow", "StuckEntry"]

_log = logging.getLogger(__name__)


class Ledger:
    """The database. Any thread may call; every method is one transaction.

    What may not be lost is a fact in the chronicle first (`_ledger_facts`); what the database has beside it
    (what was sent, how often something failed) only saves doing it again.

    Args:
        path: of the database.
        set_aside: takes a database or a chronicle that is damaged, which is then made anew; None: an error.

    Raises:
        ConfigurationError: another process records into this folder.
        OutOfSpaceError, JournalError: the disk under it failed.
    """

    def __init__(self, path: Path, set_aside: SetAside | None = None) -> None:
        self._path = path
        self._set_aside = set_aside
        self._lock = threading.RLock()
        self.finding: LedgerFinding | None = None
        """What was damaged, and is mended."""
        self._open()

    def _open(self) -> None:
        with disk_errors("opening the journal"):
            try:
                opened = open_ledger(self._path, self._set_aside)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                    raise
                raise ConfigurationError(
                    f"Another process records into {self._path.parent}.",
                    safe="nothing was started, the other recording goes on.",
                    next_step="stop the other agent, or give this one a home of its own.",
                ) from error
        self._connection, self._chronicle = opened.connection, opened.chronicle
        if opened.finding is not None:
            self.finding = opened.finding
            _log.error("%s", opened.finding.what)

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """Make a database anew that turns out to be damaged; what was asked of it is to be asked again."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
            self.close()
            self._open()
            raise JournalError(
                f"The journal's database was damaged: {error}. It was set aside and made anew.",
                safe="what was acknowledged is in its chronicle.",
                next_step="nothing: it is tried again by itself.",
            ) from error

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock, disk_errors(doing), self._mending(), transaction(self._connection) as connection:
            yield connection

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, disk_errors("reading the journal"), self._mending():
            return self._connection.execute(statement, values).fetchall()

    def _commit(self, doing: str, fact: Fact) -> None:
        """Write a fact down, then apply it: both, or neither."""
        with self._lock, disk_errors(doing):
            begin = self._chronicle.append(fact)
            reached("ledger.written")
            try:
                with transaction(self._connection) as connection:
                    apply_fact(connection, fact)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not is_damage(error):
                    self._chronicle.cut(begin)
                    raise
                # It counts: the database that is made anew has it.
                with suppress(JournalError), self._mending():
                    raise

    def open_session(
        self, instrument: str, session: str, *, sample: str | None, material: str | None
    ) -> SessionRow:
        """The session of this name, made if there is none. What was not said of it before is filled in."""
        with self._lock:
            known, _ = self.entries_of(instrument, session)
            new = known is None or (
                known.state == "open"
                and bool((sample and not known.sample) or (material and not known.material))
            )
            if new:
                self._commit(
                    "opening a session",
                    SessionFact(
                        id=self._next_id() if known is None else known.id,
                        instrument=instrument,
                        session=session,
                        sample=sample,
                        material=material,
                    ),
                )
        return self._session("instrument = ? AND session = ?", (instrument, session))

    def adopt_session(self, session_id: int, instrument: str, session: str) -> None:
        """Take up a session under the number that its open shards have; no other has it."""
        self._commit("opening a session", SessionFact(id=session_id, instrument=instrument, session=session))

    @property
    def is_empty(self) -> bool:
        """Whether it knows of no session."""
        return self._next_id() == 1

    def _next_id(self) -> int:
        (row,) = self._query("SELECT COALESCE(MAX(id), 0) + 1 AS id FROM sessions")
        return int(row["id"])

    def _session(self, condition: str, values: Sequence[Any]) -> SessionRow:
        return session_row(self._query(f"SELECT * FROM sessions WHERE {condition}", values)[0])  # noqa: S608

    def unfinished_sessions(self) -> list[SessionRow]:
        """Sessions that are not closed, oldest first."""
        return [
            session_row(r) for r in self._query("SELECT * FROM sessions WHERE state != 'closed' ORDER BY id")
        ]

    def mark_closing(self, session_id: int, expected_frames: int | None) -> SessionRow:
        """Remember that a session is over, before its last shard is sealed."""
        self._commit("closing a session", OverFact(session_id=session_id, expected_frames=expected_frames))
        return self._session("id = ?", (session_id,))

    def record_shard(self, session_id: int, shard: Shard, missing: Sequence[int]) -> None:
        """A shard is sealed: it is to be sent, and the session goes on behind it."""
        fact = ShardFact(
            session_id=session_id,
            index=shard.index,
            last_sequence=shard.last_sequence,
            name=shard.file_name,
            document=shard.model_dump_json(),
            size_bytes=shard.size_bytes,
            missing=runs(missing),
        )
        self._commit("recording a sealed shard", fact)

    def record_gap(self, session_id: int, index: int, last_sequence: int, missing: Sequence[int]) -> None:
        """Nothing of a shard is intact: the session goes on behind it, and its acquisitions are missing."""
        fact = GapFact(session_id=session_id, index=index, last_sequence=last_sequence, missing=runs(missing))
        self._commit("recording a gap", fact)

    def note_quarantined(self, session_id: int, stream: str, sequence: int, kind: str, file: str) -> None:
        """A frame of a session lies in the quarantine; again does nothing."""
        fact = AsideFact(session_id=session_id, stream=stream, sequence=sequence, why=kind, file=file)
        self._commit("noting a frame in quarantine", fact)

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
        with self._lock:
            quarantined = {sequence for sequence, _ in self.quarantined(row.id)}
            _, entries = self.entries_of(row.instrument, row.session)
            known = self._session("id = ?", (row.id,)).missing
            manifest = DatasetManifest(
                instrument=row.instrument,
                session=row.session,
                shards=tuple(Shard.model_validate_json(e.document) for e in entries if e.kind == "shard"),
                missing_sequences=tuple(sorted({*known, *missing, *quarantined})),
                closed_utc=utc_now(),
            )
            fact = ClosedFact(
                session_id=row.id,
                name=f"{manifest.dataset_id}.dataset.json",
                document=manifest.model_dump_json(),
            )
            self._commit("closing a session", fact)
        return manifest

    def session(self, session_id: int) -> SessionRow | None:
        """A session by its number."""
        rows = self._query("SELECT * FROM sessions WHERE id = ?", (session_id,))
        return session_row(rows[0]) if rows else None

    def entries_of(self, instrument: str, session: str) -> tuple[SessionRow | None, list[OutboxEntry]]:
        """A session by its name, if there is one, and everything of it that was put into the outbox."""
        rows = self._query(
            "SELECT * FROM sessions WHERE instrument = ? AND session = ?", (instrument, session)
        )
        if not rows:
            return None, []
        row = session_row(rows[0])
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

    def move(self, name: str, state: OutboxState) -> None:
        """Put an entry into another state; a delivery is counted."""
        with self._transaction("updating the outbox") as connection:
            connection.execute(
                "UPDATE outbox SET state = :state, attempts = attempts + (:state = 'delivered') "
                "WHERE name = :name",
                {"state": state, "name": name},
            )
            if state == "done":
                connection.execute("DELETE FROM outbox_failures WHERE name = ?", (name,))

    def confirm(self, name: str, receipt: Receipt) -> None:
        """Store a receipt: a shard's file may go from here on; of a manifest nothing is left to do."""
        self._commit("storing a receipt", ReceiptFact(name=name, receipt=receipt.model_dump_json()))

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
            self._chronicle.close()
