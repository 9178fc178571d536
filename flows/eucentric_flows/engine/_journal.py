"""Every event that reached the hub, each once: what is decided about, and what back-tests replay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from eucentric_core import AnyEvent, parse_event

from ..policy import ChampionSince, Recorded
from ._store import PolicyStore

__all__ = ["Journal"]

_MOST_EVENTS = 500_000
_PRUNE_EVERY = 1000
_PAGE = 1000

_NEWEST_DATASET = """
SELECT json_extract(event, '$.dataset_id') AS dataset_id FROM journal WHERE kind = 'dataset.registered'
    AND (? IS NULL OR json_extract(event, '$.material') = ?) ORDER BY position DESC LIMIT 1
"""
_CHAMPIONS = """
SELECT json_extract(event, '$.model_name') AS model, json_extract(event, '$.model_version') AS version,
    json_extract(event, '$.occurred_utc') AS promoted_utc, MAX(position)
FROM journal WHERE kind = 'model.promoted' GROUP BY model
"""


class Journal:
    """Events in the order of their arrival. The oldest beyond half a million are forgotten."""

    def __init__(self, store: PolicyStore, *, most_events: int = _MOST_EVENTS) -> None:
        self._store = store
        self._most_events = most_events

    def add(self, event: AnyEvent, received_utc: datetime) -> bool:
        """Enter an event; False if it is known already."""
        with self._store.transaction() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO journal (id, kind, received_utc, event) VALUES (?, ?, ?, ?)",
                (event.id, event.kind, received_utc.isoformat(), event.model_dump_json()),
            )
            if not added.rowcount:
                return False
            if added.lastrowid is not None and added.lastrowid % _PRUNE_EVERY == 0:
                connection.execute(
                    "DELETE FROM journal WHERE position <= ?", (added.lastrowid - self._most_events,)
                )
        return True

    def event(self, event_id: str) -> AnyEvent | None:
        """One event; None if it is not known."""
        rows = self._store.rows("SELECT event FROM journal WHERE id = ?", event_id)
        return parse_event(rows[0]["event"]) if rows else None

    def between(self, begin: datetime, end: datetime) -> Iterator[Recorded]:
        """The events that arrived in a period, page by page."""
        position = 0
        while rows := self._store.rows(
            "SELECT position, received_utc, event FROM journal"
            " WHERE position > ? AND received_utc BETWEEN ? AND ? ORDER BY position LIMIT ?",
            position, begin.isoformat(), end.isoformat(), _PAGE,
        ):  # fmt: skip
            for row in rows:
                yield Recorded(datetime.fromisoformat(row["received_utc"]), parse_event(row["event"]))
            position = rows[-1]["position"]

    def newest_dataset(self, material: str | None) -> str | None:
        """The data set that was registered last, of a material if one is given."""
        rows = self._store.rows(_NEWEST_DATASET, material, material)
        return str(rows[0]["dataset_id"]) if rows else None

    def champions(self) -> dict[str, ChampionSince]:
        """Which version of each model was promoted last, and when."""
        return {
            row["model"]: ChampionSince(
                version=row["version"], promoted_utc=datetime.fromisoformat(row["promoted_utc"])
            )
            for row in self._store.rows(_CHAMPIONS)
        }
