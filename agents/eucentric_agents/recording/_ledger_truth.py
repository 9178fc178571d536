"""Opening a ledger: database and chronicle against each other; one that is damaged is made from the other."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from eucentric_core import Shard, fsync_directory, open_database, transaction

from ._chronicle import Chronicle
from ._errors import JournalError
from ._ledger_facts import (
    SCHEMA,
    AsideFact,
    ClosedFact,
    Fact,
    ReceiptFact,
    SessionFact,
    ShardFact,
    apply_fact,
    runs,
)

__all__ = ["LedgerFinding", "OpenLedger", "SetAside", "is_damage", "open_ledger"]

SetAside = Callable[[Path, str], None]
"""Moves a file to the quarantine, and says why."""

_log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 1.0
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class LedgerFinding(NamedTuple):
    """What was wrong with a ledger, and is mended."""

    what: str


class OpenLedger(NamedTuple):
    """A ledger that is whole."""

    connection: sqlite3.Connection
    chronicle: Chronicle
    finding: LedgerFinding | None


class _Snapshot(NamedTuple):
    """What follows from the facts, and nothing that does not."""

    sessions: dict[int, tuple[object, ...]]
    outbox: dict[str, tuple[object, ...]]
    aside: frozenset[tuple[object, ...]]

    def holds(self, other: _Snapshot) -> bool:
        """Whether nothing of the other is missing or different here, but how far a session has come."""
        goes_on = (len(self.sessions), len(self.outbox), len(self.aside)) != (
            len(other.sessions),
            len(other.outbox),
            len(other.aside),
        )
        return (
            other.outbox.items() <= self.outbox.items()
            and other.aside <= self.aside
            and all(
                (known := self.sessions.get(number, ())) == row or (goes_on and known[:2] == row[:2])
                for number, row in other.sessions.items()
            )
        )


def is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether a file is not the database that it was.

    SQLite says so, or refuses what it would have taken; or what it gives or quotes is no text any more.
    """
    if isinstance(error, sqlite3.IntegrityError | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Python's own: a column that it cannot decode.
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGE


def open_ledger(path: Path, set_aside: SetAside | None) -> OpenLedger:
    """The database and its chronicle, both whole and with the same in them.

    Args:
        path: of the database; the chronicle lies beside it.
        set_aside: takes what is damaged; None: nothing is mended.

    Raises:
        JournalError: it is damaged and nobody may mend it.
        sqlite3.Error, OSError: the disk failed, or another process holds the database.
    """
    # First, because it holds the lock.
    connection = _open_if_whole(path)
    try:
        chronicle = Chronicle(path.with_suffix(".chronicle"))
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    try:
        if connection is not None:
            if (finding := _reconcile(connection, chronicle, set_aside)) is None or finding.what:
                return OpenLedger(connection, chronicle, finding)
            connection.close()
        finding = _begin_anew(path, chronicle, _require(set_aside, path))
        connection = _made_of(path, chronicle.facts)
        chronicle.rewrite(_facts_of(connection))
    except BaseException:
        chronicle.close()
        if connection is not None:
            connection.close()
        raise
    finally:
        chronicle.forget()
    return OpenLedger(connection, chronicle, finding)


def _open_if_whole(path: Path) -> sqlite3.Connection | None:
    try:
        connection = open_database(path, SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S, exclusive=True)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if is_damage(error):
            return None
        raise
    try:
        (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        # An error, and no row, where the schema itself has changed.
        stray = connection.execute("PRAGMA foreign_key_check").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        if is_damage(error) or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            return None
        raise
    if answer != "ok" or stray is not None:
        connection.close()
        return None
    return connection


_STATE_OF_GONE = {"confirmed": "done", "pending": "delivered"}
"""Of a shard whose file is not here: freed after its receipt, which is asked for if it is not known."""

_CONFLICT = LedgerFinding("")
"""Database and chronicle say different things: the one without checksums is not believed."""


def _reconcile(
    connection: sqlite3.Connection, chronicle: Chronicle, set_aside: SetAside | None
) -> LedgerFinding | None:
    """Bring both to the same state: None if they are, `_CONFLICT` if that cannot be."""
    try:
        have = _snapshot(connection)
        if not chronicle.exists:
            if have.sessions:
                # A ledger of before there were chronicles.
                chronicle.rewrite(_facts_of(connection))
            return None
        expected = _expected(chronicle.facts)
        if have == expected and not chronicle.damaged:
            return None
        with transaction(connection):
            for fact in chronicle.facts:
                apply_fact(connection, fact)
        after = _snapshot(connection)
        if not after.holds(expected):
            return _CONFLICT
        finding = None
        if after != have:
            finding = LedgerFinding("The ledger had lost what was written last; it is as its chronicle says.")
        if chronicle.damaged:
            keep = _require(set_aside, chronicle.path)
            chronicle.close()
            keep(_renamed(chronicle.path), "records of it are damaged")
            finding = LedgerFinding("The ledger's chronicle was damaged; it is made anew from the ledger.")
        if chronicle.damaged or after != expected:
            chronicle.rewrite(_facts_of(connection))
    except (sqlite3.IntegrityError, ValueError, TypeError):
        return _CONFLICT
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return _CONFLICT
        raise
    return finding


def _begin_anew(path: Path, chronicle: Chronicle, set_aside: SetAside) -> LedgerFinding:
    """Set a database aside that is damaged, and a chronicle that is."""
    # What SQLite keeps beside it first: it would be taken for a part of the new one.
    for ending in ("-wal", "-shm", "-journal", ""):
        found = path.with_name(path.name + ending)
        if found.exists():
            set_aside(_renamed(found), "it is damaged: a new one was made from its chronicle")
    if chronicle.exists and not chronicle.damaged:
        return LedgerFinding(
            "The ledger was damaged and is in the quarantine; a new one was made from its chronicle."
        )
    if chronicle.exists:
        chronicle.close()
        set_aside(_renamed(chronicle.path), "records of it are damaged; what is whole in it counts")
    return LedgerFinding(
        "The ledger was damaged and is in the quarantine, and its chronicle was not whole; a new one was "
        "made from what is left of it, from the sealed shards and from the journals of the open ones."
    )


def _made_of(path: Path, facts: Sequence[Fact]) -> sqlite3.Connection:
    """A database of these facts. What has a receipt and is here no more is done."""
    connection = open_database(path, SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S, exclusive=True)
    try:
        with transaction(connection):
            for fact in facts:
                try:
                    apply_fact(connection, fact)
                except sqlite3.IntegrityError as error:
                    # Of a session whose own fact is damaged; its shards are found where they lie.
                    _log.error("a fact of the chronicle does not count: %s: %s", error, fact)
            for row in connection.execute("SELECT name, state FROM outbox WHERE kind = 'shard'").fetchall():
                if not (path.parent / "shards" / row["name"]).exists():
                    connection.execute(
                        "UPDATE outbox SET state = ? WHERE name = ?",
                        (_STATE_OF_GONE[row["state"]], row["name"]),
                    )
        fsync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _require(set_aside: SetAside | None, path: Path) -> SetAside:
    if set_aside is None:
        raise JournalError(
            f"{path.name} is damaged.",
            safe="nothing was changed.",
            next_step="start the agent: it sets the damaged file aside and makes a new one.",
        )
    return set_aside


def _renamed(path: Path) -> Path:
    """The file under a name that nothing in the quarantine has."""
    number = 1
    folder = path.parent / "quarantine"
    while (named := path.with_name(f"damaged-{number}-{path.name}")).exists() or (
        folder / named.name
    ).exists():
        number += 1
    return path.replace(named)


def _expected(facts: Sequence[Fact]) -> _Snapshot:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        memory.row_factory = sqlite3.Row
        memory.executescript(SCHEMA)
        with transaction(memory):
            for fact in facts:
                apply_fact(memory, fact)
        return _snapshot(memory)


def _snapshot(connection: sqlite3.Connection) -> _Snapshot:
    sessions = {
        row["id"]: (*tuple(row)[1:-1], frozenset(json.loads(row["missing"])))
        for row in connection.execute("SELECT * FROM sessions")
    }
    # All columns, because nothing else looks whether each text is one.
    outbox = {
        row["name"]: tuple(row)[:6]
        for row in connection.execute(
            "SELECT session_id, kind, name, document, size_bytes, receipt, * FROM outbox"
        )
    }
    aside = frozenset(tuple(row) for row in connection.execute("SELECT * FROM quarantined"))
    return _Snapshot(sessions, outbox, aside)


def _facts_of(connection: sqlite3.Connection) -> Iterator[Fact]:
    """Facts that make a database what this one is."""
    for row in connection.execute("SELECT * FROM sessions ORDER BY id"):
        facts = dict(row)
        facts["missing"] = runs(json.loads(row["missing"]))
        facts["state"] = "open" if row["state"] == "open" else "closing"
        yield SessionFact.model_validate(facts)
    for row in connection.execute("SELECT * FROM quarantined"):
        yield AsideFact(
            session_id=row["session_id"],
            stream=row["stream"],
            sequence=row["sequence"],
            why=row["kind"],
            file=row["file"],
        )
    for row in connection.execute("SELECT * FROM outbox ORDER BY id"):
        if row["kind"] == "shard":
            shard = Shard.model_validate_json(row["document"])
            yield ShardFact(
                session_id=row["session_id"],
                # The session is behind it already.
                index=-1,
                last_sequence=shard.last_sequence,
                name=row["name"],
                document=row["document"],
                size_bytes=row["size_bytes"],
                missing=(),
            )
        else:
            yield ClosedFact(session_id=row["session_id"], name=row["name"], document=row["document"])
        if row["receipt"] is not None or row["state"] in ("confirmed", "done"):
            yield ReceiptFact(name=row["name"], receipt=row["receipt"])
