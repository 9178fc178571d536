"""Rows of the record of runs, and what they say."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from eucentric_core import ErrorReport

from ._views import RunState, RunView, StageView, WaitView

__all__ = ["close_stages", "note_flow_run", "row_of", "run_view"]

_PLAIN = (
    "trigger_id", "kind", "policy", "model", "triggered_by", "flow_run_id", "attempt", "reason", "version",
    "requested_utc", "started_utc", "ended_utc", "cancel_utc", "cancelled_by", "resumed_utc", "resumes",
    "first_answer_utc",
)  # fmt: skip


def run_view(
    connection: sqlite3.Connection, row: sqlite3.Row, *, age_s: float, lost_after_s: float
) -> RunView:
    """A run as people and programs see it; `age_s` is that of its heartbeat."""
    state: RunState = row["outcome"] or ("running" if age_s < lost_after_s else "lost")
    of_run = (row["trigger_id"],)
    stages = connection.execute(
        "SELECT * FROM stages WHERE trigger_id = ? ORDER BY attempt, rowid", of_run
    ).fetchall()
    waits = connection.execute("SELECT * FROM waits WHERE trigger_id = ? ORDER BY rowid", of_run).fetchall()
    return RunView.model_validate(
        {
            **{name: row[name] for name in _PLAIN},
            "state": state,
            "heartbeat_age_s": age_s,
            "request": json.loads(row["request"]),
            "stages": tuple(_stage_view(stage) for stage in stages),
            "waits": tuple(_wait_view(wait) for wait in waits),
        }
    )


def row_of(connection: sqlite3.Connection, trigger_id: str) -> sqlite3.Row | None:
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


def _wait_view(row: sqlite3.Row) -> WaitView:
    return WaitView.model_validate(
        {name: row[name] for name in ("stage", "attempt", "reason", "began_utc", "ended_utc")}
    )


def note_flow_run(
    connection: sqlite3.Connection, flow_run_id: str | None, trigger_id: str, attempt: int
) -> None:
    if flow_run_id is not None:
        connection.execute(
            "INSERT OR REPLACE INTO flow_runs VALUES (?, ?, ?)", (flow_run_id, trigger_id, attempt)
        )


def close_stages(connection: sqlite3.Connection, trigger_id: str, last_heard_utc: str, why: str) -> None:
    """Stages of a process that is gone ended when it was last heard of."""
    report = ErrorReport(
        code="lost",
        what=f"Its process was not heard of any more. {why}",
        safe="what earlier stages left is kept.",
        next_step="see the log of the run: `eucentric run logs`.",
    )
    connection.execute(
        "UPDATE stages SET ended_utc = max(started_utc, ?), error = ?"
        " WHERE trigger_id = ? AND ended_utc IS NULL",
        (last_heard_utc, report.model_dump_json(), trigger_id),
    )
    connection.execute(
        "UPDATE waits SET ended_utc = max(began_utc, ?) WHERE trigger_id = ? AND ended_utc IS NULL",
        (last_heard_utc, trigger_id),
    )
