"""The record of runs: our own truth, whatever the orchestrator remembers."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import JsonValue

from eucentric_core import ErrorReport, EucentricError, FrozenModel, Settings, transaction, utc_now

from ._database import open_shared_database
from ._run_views import RunState, RunView, StageView, TriggeredBy
from .policy import Decision, PastRun

__all__ = ["LOST_AFTER_S", "Admission", "RunRecord", "RunRecordError", "runs_path"]

LOST_AFTER_S = 30.0
"""A run that has not been heard of for this long is shown as lost and holds no other run back."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    trigger_id TEXT PRIMARY KEY, kind TEXT NOT NULL, policy TEXT, model TEXT NOT NULL,
    triggered_by TEXT NOT NULL CHECK (triggered_by IN ('policy', 'manual')),
    flow_run_id TEXT, admitted INTEGER NOT NULL, attempt INTEGER NOT NULL, request TEXT NOT NULL,
    requested_utc TEXT NOT NULL, started_utc TEXT NOT NULL, heartbeat_utc TEXT NOT NULL,
    ended_utc TEXT, outcome TEXT, reason TEXT NOT NULL DEFAULT '', version INTEGER
);
CREATE TABLE IF NOT EXISTS stages (
    trigger_id TEXT NOT NULL REFERENCES runs, attempt INTEGER NOT NULL, name TEXT NOT NULL,
    started_utc TEXT NOT NULL, ended_utc TEXT, message TEXT NOT NULL DEFAULT '', error TEXT,
    PRIMARY KEY (trigger_id, attempt, name)
);
"""


class RunRecordError(EucentricError):
    """The record does not hold such a run, or another process is carrying it out."""

    code = "run_record"


class Admission(FrozenModel):
    """What became of a request to run.

    `new`: go on. `resumed`: an earlier attempt did not come to its end; go on. `held`: a policy or guard says
    no. `finished`: this trigger has been dealt with before; there is nothing to do.
    """

    status: Literal["new", "resumed", "held", "finished"]
    reason: str
    attempt: int = 1


def runs_path(settings: Settings) -> Path:
    """Where a machine's record lies."""
    return settings.home / "flows" / "runs.sqlite"


class RunRecord:
    """Runs by trigger id. Safe to use from several processes and threads.

    Args:
        path: SQLite file; made if it does not exist.
        clock: present time in UTC.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._connection = open_shared_database(path, _SCHEMA)
        self._lock = threading.RLock()
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def admit(
        self,
        *,
        trigger_id: str,
        kind: str,
        policy: str | None,
        model: str,
        triggered_by: TriggeredBy,
        request: dict[str, JsonValue],
        decision: Callable[[Sequence[PastRun], datetime], Decision],
        flow_run_id: str | None = None,
        requested_utc: datetime | None = None,
    ) -> Admission:
        """Decide about a run and record the decision, in one transaction.

        Two processes that ask at the same moment are answered one after the other, so that guards such as
        one run at a time cannot be passed by both. Who triggered a run is what its first attempt said.

        Raises:
            RunRecordError: another process is carrying this very run out.
        """
        with self._lock, transaction(self._connection) as connection:
            now = self._clock()
            row = _row_of(connection, trigger_id)
            if row is not None:
                return self._admit_again(connection, row, flow_run_id, now)
            decided = decision(self._history(connection, now), now)
            ended, outcome = (None, None) if decided.fire else (now.isoformat(), "held")
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (trigger_id, kind, policy, model, triggered_by, flow_run_id, decided.fire,
                 json.dumps(request), (requested_utc or now).isoformat(), now.isoformat(), now.isoformat(),
                 ended, outcome, decided.reason),
            )  # fmt: skip
            return Admission(status="new" if decided.fire else "held", reason=decided.reason)

    def _admit_again(
        self, connection: sqlite3.Connection, row: sqlite3.Row, flow_run_id: str | None, now: datetime
    ) -> Admission:
        if row["outcome"] not in (None, "failed"):
            return Admission(
                status="finished",
                reason=f"dealt with before: {row['outcome']}, {row['reason']}",
                attempt=row["attempt"],
            )
        if row["outcome"] is None and self._age_s(row, now) < LOST_AFTER_S:
            raise RunRecordError(
                f"Run {row['trigger_id']} is being carried out by another process.",
                safe="nothing was changed.",
                next_step=f"wait for it; if its process is dead it counts as lost after {LOST_AFTER_S:g} s.",
            )
        for other in self._history(connection, now):
            if other.model == row["model"] and other.in_flight and other.trigger_id != row["trigger_id"]:
                raise RunRecordError(
                    f"Run {other.trigger_id} of model {other.model} is in flight.",
                    safe="nothing was changed.",
                    next_step=f"resume {row['trigger_id']} when it has ended.",
                )
        attempt = row["attempt"] + 1
        connection.execute(
            "UPDATE runs SET attempt = ?, flow_run_id = ?, heartbeat_utc = ?, ended_utc = NULL,"
            " outcome = NULL, reason = ? WHERE trigger_id = ?",
            (attempt, flow_run_id, now.isoformat(), f"attempt {attempt}", row["trigger_id"]),
        )
        return Admission(status="resumed", reason=f"goes on with attempt {attempt}", attempt=attempt)

    def runs(self, *, limit: int = 100) -> tuple[RunView, ...]:
        """The newest runs first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT * FROM runs ORDER BY started_utc DESC, rowid DESC LIMIT ?", (limit,)
            ).fetchall()
            return tuple(self._view(row) for row in rows)

    def run(self, trigger_id: str) -> RunView:
        """One run.

        Raises:
            RunRecordError: there is none with this trigger id.
        """
        with self._lock:
            row = _row_of(self._connection, trigger_id)
            if row is None:
                raise RunRecordError(
                    f"There is no run {trigger_id!r}.",
                    safe="nothing was changed.",
                    next_step="`eucentric run ls` lists the runs.",
                )
            return self._view(row)

    def write(self, statement: str, *values: object) -> None:
        """One change of the record (for `ActiveRun`)."""
        with self._lock, transaction(self._connection) as connection:
            connection.execute(statement, values)

    def now(self) -> str:
        """The present time as it is recorded."""
        return self._clock().isoformat()

    def _age_s(self, row: sqlite3.Row, now: datetime) -> float:
        return max(0.0, (now - datetime.fromisoformat(row["heartbeat_utc"])).total_seconds())

    def _history(self, connection: sqlite3.Connection, now: datetime) -> tuple[PastRun, ...]:
        # Nothing older than the longest guard (30 days) can matter; what is in flight always does.
        rows = connection.execute(
            "SELECT * FROM runs WHERE admitted"
            " AND (ended_utc IS NULL OR julianday(ended_utc) > julianday(?) - 31)",
            (now.isoformat(),),
        ).fetchall()
        return tuple(
            PastRun(
                trigger_id=row["trigger_id"],
                policy=row["policy"],
                model=row["model"],
                admitted=True,
                started_utc=datetime.fromisoformat(row["started_utc"]),
                ended_utc=row["ended_utc"] and datetime.fromisoformat(row["ended_utc"]),
                alive=self._age_s(row, now) < LOST_AFTER_S,
            )
            for row in rows
        )

    def _view(self, row: sqlite3.Row) -> RunView:
        age_s = self._age_s(row, self._clock())
        state: RunState = row["outcome"] or ("running" if age_s < LOST_AFTER_S else "lost")
        stages = self._connection.execute(
            "SELECT * FROM stages WHERE trigger_id = ? ORDER BY attempt, rowid", (row["trigger_id"],)
        ).fetchall()
        names = ("trigger_id", "kind", "policy", "model", "triggered_by", "flow_run_id", "attempt", "reason",
                 "version", "requested_utc", "started_utc", "ended_utc")  # fmt: skip
        return RunView.model_validate(
            {
                **{name: row[name] for name in names},
                "state": state,
                "heartbeat_age_s": age_s,
                "request": json.loads(row["request"]),
                "stages": tuple(_stage_view(stage) for stage in stages),
            }
        )


def _row_of(connection: sqlite3.Connection, trigger_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM runs WHERE trigger_id = ?", (trigger_id,)
    ).fetchone()
    return row


def _stage_view(row: sqlite3.Row) -> StageView:
    return StageView(
        name=row["name"],
        attempt=row["attempt"],
        started_utc=datetime.fromisoformat(row["started_utc"]),
        ended_utc=row["ended_utc"] and datetime.fromisoformat(row["ended_utc"]),
        message=row["message"],
        error=row["error"] and ErrorReport.model_validate_json(row["error"]),
    )
