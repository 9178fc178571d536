"""What people say to firings that await approval."""

from __future__ import annotations

from collections.abc import Sequence

from ..policy import Answer
from ._store import PolicyStore

__all__ = ["Answers"]


class Answers:
    """Answers by policy and occurrence; only the first word counts."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def give(self, policy: str, occurrence: str, answer: Answer) -> None:
        """Enter what a person says."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
                (policy, occurrence, answer.approved, answer.by),
            )

    def open(self, policies: Sequence[str]) -> dict[tuple[str, str], Answer]:
        """Answers to what still awaits approval, of these policies."""
        rows = self._store.rows(
            "SELECT answers.* FROM answers JOIN decisions USING (policy, occurrence)"
            " WHERE status = 'awaiting'"
        )
        return {
            (row["policy"], row["occurrence"]): Answer(approved=bool(row["approved"]), by=row["person"])
            for row in rows
            if row["policy"] in policies
        }
