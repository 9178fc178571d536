"""Why each thing happened, or did not: one decision per policy and occurrence, with every step to it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from ..policy import Order, Ruling, Status
from ._orders import PlacedOrder
from ._store import PolicyStore

__all__ = ["Decisions", "Fired"]

_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)
_MOST_DECISIONS = 100_000
_PRUNE_EVERY = 500

_ENTER = """
INSERT INTO decisions (policy, occurrence, event_kind, status, reason, decided_utc, until_utc, trigger_id,
    begins_a_run, placed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (policy, occurrence) DO UPDATE SET status = excluded.status, reason = excluded.reason,
    decided_utc = excluded.decided_utc, until_utc = excluded.until_utc, trigger_id = excluded.trigger_id,
    begins_a_run = excluded.begins_a_run, placed = excluded.placed
"""
_AMEND = "UPDATE decisions SET status = ?, reason = ? WHERE trigger_id = ? RETURNING policy, occurrence"
_FORGET = "DELETE FROM decisions WHERE number <= ? AND status IN ('not_met', 'held')"
_FORGET_STEPS = """
DELETE FROM steps WHERE number <= (SELECT MAX(number) FROM steps) - ? AND NOT EXISTS
    (SELECT 1 FROM decisions d WHERE d.policy = steps.policy AND d.occurrence = steps.occurrence)
"""


@dataclass(frozen=True, slots=True)
class Fired:
    """A decision to act."""

    policy: str
    trigger_id: str
    decided_utc: datetime
    begins_a_run: bool


class Decisions:
    """The book of decisions. Of those that came to nothing only the newest hundred thousand are kept."""

    def __init__(self, store: PolicyStore, *, most: int = _MOST_DECISIONS) -> None:
        self._store = store
        self._most = most

    def known(self, policy: str, occurrence: str) -> bool:
        """Whether the policy has decided about this occurrence, or put it off."""
        return bool(
            self._store.rows(
                "SELECT 1 FROM decisions WHERE policy = ? AND occurrence = ?", policy, occurrence
            )
        )

    def record(
        self,
        policy: str,
        ruling: Ruling,
        now: datetime,
        *,
        event_kind: str | None,
        trigger_id: str | None = None,
        begins_a_run: bool | None = None,
        order: Order | None = None,
    ) -> None:
        """Enter a ruling, and the order that comes of it. The last ruling about it is what holds."""
        at, until = now.isoformat(), ruling.until_utc and ruling.until_utc.isoformat()
        placed = None if order is None else _ORDERS.dump_json(order).decode()
        with self._store.transaction() as connection:
            number = connection.execute(
                _ENTER,
                (policy, ruling.occurrence, event_kind, ruling.status, ruling.reason, at, until, trigger_id,
                 begins_a_run, placed),
            ).lastrowid  # fmt: skip
            self._step(connection, policy, ruling.occurrence, at, ruling.status, ruling.reason)
            if number is not None and number % _PRUNE_EVERY == 0:
                self._prune(connection, number)

    def amend(self, trigger_id: str, status: Status, reason: str, now: datetime) -> None:
        """What fired came to nothing after all, or is worth a word."""
        with self._store.transaction() as connection:
            for row in connection.execute(_AMEND, (status, reason, trigger_id)).fetchall():
                self._step(connection, row["policy"], row["occurrence"], now.isoformat(), status, reason)

    def _step(
        self, connection: sqlite3.Connection, policy: str, occurrence: str, at: str, status: str, reason: str
    ) -> None:
        connection.execute(
            "INSERT INTO steps (policy, occurrence, at_utc, status, reason) VALUES (?, ?, ?, ?, ?)",
            (policy, occurrence, at, status, reason),
        )

    def _prune(self, connection: sqlite3.Connection, newest: int) -> None:
        connection.execute(_FORGET, (newest - self._most,))
        connection.execute(_FORGET_STEPS, (self._most,))

    def orders(self, *, limit: int = 50) -> tuple[PlacedOrder, ...]:
        """The oldest orders that are not carried out."""
        rows = self._store.rows(
            "SELECT * FROM decisions WHERE placed IS NOT NULL AND ordered_utc IS NULL"
            " ORDER BY number LIMIT ?",
            limit,
        )
        return tuple(
            PlacedOrder(
                row["policy"], row["occurrence"], row["trigger_id"], _ORDERS.validate_json(row["placed"])
            )
            for row in rows
        )

    def carried_out(self, order: PlacedOrder, now: datetime) -> None:
        """An order has been taken."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE decisions SET ordered_utc = ? WHERE policy = ? AND occurrence = ?",
                (now.isoformat(), order.policy, order.occurrence),
            )

    def fired_since(self, since: datetime) -> tuple[Fired, ...]:
        """What was fired, whether a run has begun or not."""
        rows = self._store.rows(
            "SELECT policy, trigger_id, decided_utc, begins_a_run FROM decisions"
            " WHERE status = 'fired' AND decided_utc > ?",
            since.isoformat(),
        )
        return tuple(
            Fired(
                row["policy"],
                row["trigger_id"],
                datetime.fromisoformat(row["decided_utc"]),
                bool(row["begins_a_run"]),
            )
            for row in rows
        )

    def fired_by(self, trigger_id: str) -> str | None:
        """Which policy fired under a trigger id; None if none did."""
        rows = self._store.rows(
            "SELECT policy FROM decisions WHERE trigger_id = ? AND status = 'fired'", trigger_id
        )
        return str(rows[0]["policy"]) if rows else None
