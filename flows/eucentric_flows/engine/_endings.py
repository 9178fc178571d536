"""Runs that have ended, as events."""

from __future__ import annotations

import hashlib
from datetime import datetime

from eucentric_core import RunEnded

from ..runs import RunRecord
from ._store import PolicyStore

__all__ = ["RunEndings"]

_SEEN_UNTIL = "run endings seen until"
_SOURCE = "hub"
_NEWEST = 200


class RunEndings:
    """Tells every ending once, whoever carried the run out. What ended before the first look is old."""

    def __init__(self, store: PolicyStore, record: RunRecord) -> None:
        self._store = store
        self._record = record

    def new(self, now: datetime) -> list[RunEnded]:
        """Endings since the last look that was noted, oldest first."""
        seen_until = self._store.fact(_SEEN_UNTIL)
        if seen_until is None:
            self._store.remember(_SEEN_UNTIL, now.isoformat())
            return []
        since = datetime.fromisoformat(seen_until)
        ended = [
            RunEnded(
                id=hashlib.sha256(f"{run.trigger_id} {run.ended_utc.isoformat()}".encode()).hexdigest()[:32],
                source=_SOURCE,
                occurred_utc=run.ended_utc,
                trace_id=run.trace_id,
                flow=run.kind,
                trigger_id=run.trigger_id,
                policy=run.policy,
                model_name=run.model,
                outcome=run.state,
            )
            for run in self._record.runs(limit=_NEWEST)
            if run.ended_utc is not None and run.ended_utc > since
        ]
        return sorted(ended, key=lambda event: event.occurred_utc)

    def note(self, event: RunEnded) -> None:
        """This ending has been told."""
        self._store.remember(_SEEN_UNTIL, event.occurred_utc.isoformat())
