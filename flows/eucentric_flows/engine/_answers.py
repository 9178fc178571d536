"""What people say to firings that await approval."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..policy import Answer
from ._store import PolicyStore

__all__ = ["Answers"]


class Answers:
    """Answers by policy and occurrence; only the first word counts."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def give(self, policy: str, occurrence: str, answer: Answer) -> Answer:
        """Enter what a person says. Returns what counts: this, or what somebody said before."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO answers (policy, occurrence, approved, person, because)"
                " VALUES (?, ?, ?, ?, ?)",
                (policy, occurrence, answer.approved, answer.by, answer.because),
            )
            row = connection.execute(
                "SELECT * FROM answers WHERE policy = ? AND occurrence = ?", (policy, occurrence)
            ).fetchone()
        return _answer(row)

    def open(self, policies: Sequence[str]) -> dict[tuple[str, str], Answer]:
        """Answers to what still awaits approval, of these policies."""
        rows = self._store.rows(
            "SELECT answers.* FROM answers JOIN decisions USING (policy, occurrence)"
            " WHERE status = 'awaiting'"
        )
        return {(row["policy"], row["occurrence"]): _answer(row) for row in rows if row["policy"] in policies}


def _answer(row: sqlite3.Row) -> Answer:
    return Answer(approved=bool(row["approved"]), by=row["person"], because=row["because"])
