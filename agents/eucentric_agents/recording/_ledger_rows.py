"""What the ledger tells of sessions and of what is to be sent."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Literal

from eucentric_core import ErrorReport, FrozenModel

__all__ = ["OutboxEntry", "OutboxState", "SessionRow", "StuckEntry", "session_row"]

OutboxState = Literal["pending", "delivered", "confirmed", "done", "stuck"]
"""pending: to be sent. delivered: at the far end, hash confirmed. confirmed: receipt stored, the local
file may go. done: nothing left to do. stuck: damaged here, or refused there again and again; kept, not
sent, and a person must look."""


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


def session_row(row: sqlite3.Row) -> SessionRow:
    """A session as the database has it."""
    return SessionRow(**{**dict(row), "missing": tuple(json.loads(row["missing"]))})
