"""Events on their way to the orchestrator: durable, each once, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eucentric_core import AnyEvent, FrozenModel, Settings, parse_event, transaction, utc_now

from ._database import SharedBook, open_shared_database

__all__ = ["EventOutbox", "OutboxCounts", "outbox_path"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL,
    received_utc TEXT NOT NULL, delivered_utc TEXT
);
CREATE INDEX IF NOT EXISTS pending ON events (position) WHERE delivered_utc IS NULL;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO counts VALUES ('dropped', 0), ('repeated', 0);
"""


class OutboxCounts(FrozenModel):
    """`dropped` events were given up because the outbox was full; `repeated` ones arrived more than once."""

    pending: int
    delivered: int
    dropped: int
    repeated: int


def outbox_path(settings: Settings) -> Path:
    """Where a machine's outbox lies."""
    return settings.home / "flows" / "events.sqlite"


class EventOutbox(SharedBook):
    """Keeps events until they are delivered. Safe to use from several processes and threads.

    While the orchestrator is down events wait here, so that the instrument never waits for it. When more
    than `capacity` wait, the oldest is given up and counted. As many delivered ones are remembered, to know
    an event that arrives again.
    """

    def __init__(self, path: Path, *, capacity: int = 10_000) -> None:
        super().__init__(open_shared_database(path, _SCHEMA))
        self._capacity = capacity

    def add(self, event: AnyEvent) -> None:
        """Take an event; it is durable when this returns. One that was taken before is ignored."""
        with self._lock, transaction(self._connection) as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO events (id, event, received_utc) VALUES (?, ?, ?)",
                (event.id, event.model_dump_json(), utc_now().isoformat()),
            ).rowcount
            if not added:
                connection.execute("UPDATE counts SET value = value + 1 WHERE name = 'repeated'")
                return
            dropped = connection.execute(
                "DELETE FROM events WHERE delivered_utc IS NULL AND position <= (SELECT position FROM events"
                " WHERE delivered_utc IS NULL ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (self._capacity,),
            ).rowcount
            connection.execute("UPDATE counts SET value = value + ? WHERE name = 'dropped'", (dropped,))

    def pending(self, *, limit: int = 50) -> tuple[AnyEvent, ...]:
        """The oldest events that are not delivered."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT event FROM events WHERE delivered_utc IS NULL ORDER BY position LIMIT ?", (limit,)
            ).fetchall()
        return tuple(parse_event(row["event"]) for row in rows)

    def after(self, position: int, *, limit: int) -> tuple[tuple[int, AnyEvent], ...]:
        """Events beyond a position, delivered or not, in the order of their arrival, with their positions."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT position, event FROM events WHERE position > ? ORDER BY position LIMIT ?",
                (position, limit),
            ).fetchall()
        return tuple((row["position"], parse_event(row["event"])) for row in rows)

    def newest(self) -> int:
        """Position of the event that arrived last; 0 before the first."""
        with self._lock:
            row = self._connection.execute("SELECT MAX(position) AS newest FROM events").fetchone()
        return int(row["newest"] or 0)

    def mark_delivered(self, events: Sequence[AnyEvent]) -> None:
        """The orchestrator has confirmed these events."""
        now = utc_now().isoformat()
        with self._lock, transaction(self._connection) as connection:
            connection.executemany(
                "UPDATE events SET delivered_utc = ? WHERE id = ?", [(now, event.id) for event in events]
            )
            connection.execute(
                "DELETE FROM events WHERE delivered_utc IS NOT NULL AND position <= (SELECT position FROM"
                " events WHERE delivered_utc IS NOT NULL ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (self._capacity,),
            )

    def counts(self) -> OutboxCounts:
        """How many wait, were delivered (of those remembered), were dropped and repeated."""
        with self._lock:
            row = self._connection.execute(
                "SELECT COUNT(*) FILTER (WHERE delivered_utc IS NULL) AS pending,"
                " COUNT(*) FILTER (WHERE delivered_utc IS NOT NULL) AS delivered,"
                " (SELECT value FROM counts WHERE name = 'dropped') AS dropped,"
                " (SELECT value FROM counts WHERE name = 'repeated') AS repeated FROM events"
            ).fetchone()
        return OutboxCounts(**dict(row))
