"""Afterwards: why each thing happened, or did not."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from eucentric_core import FrozenModel, UtcDatetime

from ..policy import Status
from ._store import PolicyStore

__all__ = ["DecisionView", "History", "StepView"]


class StepView(FrozenModel):
    """One step on the way to a decision."""

    at_utc: UtcDatetime
    status: Status
    reason: str


class DecisionView(FrozenModel):
    """What a policy made of an event or a scheduled time.

    Attributes:
        occurrence: id of the event, or name of the scheduled time.
        trigger_id: of the run that came of it; None if none did.
        steps: oldest first; the last one is what holds.
    """

    policy: str
    occurrence: str
    event_kind: str | None
    status: Status
    reason: str
    decided_utc: UtcDatetime
    until_utc: UtcDatetime | None
    trigger_id: str | None
    ordered_utc: UtcDatetime | None
    steps: tuple[StepView, ...]


class History:
    """Reads the book of decisions."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def newest(
        self,
        *,
        policy: str | None = None,
        occurrence: str | None = None,
        statuses: Sequence[Status] = (),
        since: datetime | None = None,
        limit: int = 50,
    ) -> tuple[DecisionView, ...]:
        """The newest decisions first, with their steps; each argument narrows them down."""
        marks = ", ".join("?" * len(statuses))
        beginning = "" if since is None else since.isoformat()
        rows = self._store.rows(
            "SELECT * FROM decisions WHERE (? IS NULL OR policy = ?)"  # noqa: S608 - only question marks
            " AND (? IS NULL OR occurrence = ? OR trigger_id = ?) AND decided_utc > ?"
            f" AND (? = 0 OR status IN ({marks})) ORDER BY decided_utc DESC, number DESC LIMIT ?",
            policy, policy, occurrence, occurrence, occurrence, beginning, len(statuses), *statuses,
            limit,
        )  # fmt: skip
        return tuple(self._view(row) for row in rows)

    def _view(self, row: sqlite3.Row) -> DecisionView:
        steps = self._store.rows(
            "SELECT at_utc, status, reason FROM steps WHERE policy = ? AND occurrence = ? ORDER BY number",
            row["policy"], row["occurrence"],
        )  # fmt: skip
        names = ("policy", "occurrence", "event_kind", "status", "reason", "trigger_id")
        times = ("decided_utc", "until_utc", "ordered_utc")
        return DecisionView(
            **{name: row[name] for name in names},
            **{name: row[name] and datetime.fromisoformat(row[name]) for name in times},
            steps=tuple(
                StepView(
                    at_utc=datetime.fromisoformat(step["at_utc"]),
                    status=step["status"],
                    reason=step["reason"],
                )
                for step in steps
            ),
        )
