"""What happens to a ledger, one fact at a time, and its tables: whatever is in them follows from the facts.

Each fact is written to the chronicle before it is applied here, and may be applied again: a ledger that was
lost, or is behind, is made whole by applying all of them in their order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from eucentric_core import FrozenModel, runs_of

__all__ = [
    "SCHEMA",
    "AsideFact",
    "ClosedFact",
    "Fact",
    "GapFact",
    "OverFact",
    "ReceiptFact",
    "Runs",
    "SessionFact",
    "ShardFact",
    "apply_fact",
    "numbers_of",
    "parse_fact",
    "runs",
]

SCHEMA = """
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

Runs = tuple[tuple[int, int], ...]
"""Sequence numbers as the first and the last of each run."""


class SessionFact(FrozenModel):
    """A session, as far as it has come. Of one that is known, what was not said of it before."""

    kind: Literal["session"] = "session"
    id: int
    instrument: str
    session: str
    sample: str | None = None
    material: str | None = None
    state: Literal["open", "closing"] = "open"
    expected_frames: int | None = None
    next_index: int = 0
    next_sequence: int = 0
    missing: Runs = ()


class OverFact(FrozenModel):
    """A session is over; its last shards are not sealed yet."""

    kind: Literal["over"] = "over"
    session_id: int
    expected_frames: int | None


class ShardFact(FrozenModel):
    """A shard is sealed; `document` is the `Shard` as JSON."""

    kind: Literal["shard"] = "shard"
    session_id: int
    index: int
    last_sequence: int
    name: str
    document: str
    size_bytes: int
    missing: Runs


class GapFact(FrozenModel):
    """Nothing of a shard is intact."""

    kind: Literal["gap"] = "gap"
    session_id: int
    index: int
    last_sequence: int
    missing: Runs


class AsideFact(FrozenModel):
    """A frame of a session lies in the quarantine."""

    kind: Literal["aside"] = "aside"
    session_id: int
    stream: str
    sequence: int
    why: str
    file: str


class ReceiptFact(FrozenModel):
    """The repository has a shard or a manifest; `receipt` as JSON, None where there is none of a manifest."""

    kind: Literal["receipt"] = "receipt"
    name: str
    receipt: str | None


class ClosedFact(FrozenModel):
    """A session is closed; `document` is its manifest as JSON, as it is sent."""

    kind: Literal["closed"] = "closed"
    session_id: int
    name: str
    document: str


Fact = SessionFact | OverFact | ShardFact | GapFact | AsideFact | ReceiptFact | ClosedFact

_FACT: TypeAdapter[Fact] = TypeAdapter(Annotated[Fact, Field(discriminator="kind")])


def parse_fact(text: bytes) -> Fact:
    """The fact in a record of the chronicle.

    Raises:
        pydantic.ValidationError: it is none of this version.
    """
    return _FACT.validate_json(text)


def runs(numbers: Iterable[int]) -> Runs:
    """Sequence numbers in any order, as runs."""
    return tuple(runs_of(sorted(set(numbers))))


def numbers_of(some: Runs) -> list[int]:
    """Each sequence number of runs."""
    return [number for first, last in some for number in range(first, last + 1)]


def apply_fact(connection: sqlite3.Connection, fact: Fact) -> None:
    """Bring the tables up to a fact, in a transaction of the caller; again does nothing.

    Raises:
        sqlite3.Error: it contradicts what is there, or the disk failed.
    """
    match fact:
        case SessionFact():
            connection.execute(
                "INSERT INTO sessions (id, instrument, session, sample, material, state, expected_frames, "
                "next_index, next_sequence, missing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (instrument, session) DO UPDATE SET sample = COALESCE(sample, excluded.sample), "
                "material = COALESCE(material, excluded.material) WHERE state = 'open'",
                (
                    fact.id,
                    fact.instrument,
                    fact.session,
                    fact.sample,
                    fact.material,
                    fact.state,
                    fact.expected_frames,
                    fact.next_index,
                    fact.next_sequence,
                    json.dumps(numbers_of(fact.missing)),
                ),
            )
        case OverFact():
            connection.execute(
                "UPDATE sessions SET state = 'closing', expected_frames = ? WHERE id = ? AND state = 'open'",
                (fact.expected_frames, fact.session_id),
            )
        case ShardFact():
            connection.execute(
                "INSERT INTO outbox (session_id, kind, name, document, size_bytes, state) "
                "VALUES (?, 'shard', ?, ?, ?, 'pending') ON CONFLICT (name) DO NOTHING",
                (fact.session_id, fact.name, fact.document, fact.size_bytes),
            )
            _advance(connection, fact.session_id, fact.index, fact.last_sequence, numbers_of(fact.missing))
        case GapFact():
            _advance(connection, fact.session_id, fact.index, fact.last_sequence, numbers_of(fact.missing))
        case AsideFact():
            connection.execute(
                "INSERT OR IGNORE INTO quarantined VALUES (?, ?, ?, ?, ?)",
                (fact.session_id, fact.stream, fact.sequence, fact.why, fact.file),
            )
        case ReceiptFact():
            connection.execute(
                "UPDATE outbox SET receipt = COALESCE(?, receipt), state = CASE WHEN kind = 'dataset' THEN "
                "'done' WHEN state = 'done' THEN 'done' ELSE 'confirmed' END WHERE name = ?",
                (fact.receipt, fact.name),
            )
            connection.execute("DELETE FROM outbox_failures WHERE name = ?", (fact.name,))
        case ClosedFact():
            connection.execute(
                "INSERT INTO outbox (session_id, kind, name, document, size_bytes, state) "
                "VALUES (?, 'dataset', ?, ?, ?, 'pending') ON CONFLICT (name) DO NOTHING",
                (fact.session_id, fact.name, fact.document, len(fact.document)),
            )
            connection.execute("UPDATE sessions SET state = 'closed' WHERE id = ?", (fact.session_id,))


def _advance(
    connection: sqlite3.Connection, session_id: int, index: int, last_sequence: int, missing: Sequence[int]
) -> None:
    """The session goes on behind a shard, unless it has."""
    row = connection.execute(
        "SELECT next_index, missing FROM sessions WHERE id = ?", (session_id,)
    ).fetchone()
    if row is None or index < row[0]:
        return
    known = json.loads(row[1])
    connection.execute(
        "UPDATE sessions SET next_index = ?, next_sequence = ?, missing = ? WHERE id = ?",
        (
            index + 1,
            max(last_sequence, max(missing, default=-1)) + 1,
            json.dumps([*known, *missing]),
            session_id,
        ),
    )
