"""The record of runs: our own truth, whatever the orchestrator remembers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from eucentric_core import EucentricError, FrozenModel, Settings, transaction, utc_now

from .._database import SharedBook
from .._outcome import Outcome
from ..policy import Decision, PastRun
from ._rows import close_stages, note_flow_run, row_of, run_view
from ._schema import open_runs
from ._views import RunView, TriggeredBy

__all__ = ["LOST_AFTER_S", "Admission", "RunRecord", "RunRecordError", "runs_path"]

LOST_AFTER_S = 30.0
"""A run that has not been heard of for this long is shown as lost and holds no other run back."""

_RECENT = 50


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


class RunRecord(SharedBook):
    """Runs by trigger id. Safe to use from several processes and threads.

    Args:
        path: SQLite file; made if it does not exist.
        clock: present time in UTC.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(open_runs(path))
        self._clock = clock

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
            row = row_of(connection, trigger_id)
            if row is not None:
                return self._admit_again(connection, row, flow_run_id, now)
            decided = decision(self._history(connection, now), now)
            ended, outcome = (None, None) if decided.fire else (now.isoformat(), "held")
            connection.execute(
                "INSERT INTO runs (trigger_id, kind, policy, model, triggered_by, flow_run_id, admitted,"
                " attempt, request, requested_utc, started_utc, heartbeat_utc, ended_utc, outcome, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
                (trigger_id, kind, policy, model, triggered_by, flow_run_id, decided.fire,
                 json.dumps(request), (requested_utc or now).isoformat(), now.isoformat(), now.isoformat(),
                 ended, outcome, decided.reason),
            )  # fmt: skip
            note_flow_run(connection, flow_run_id, trigger_id, 1)
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
        close_stages(connection, row["trigger_id"], row["heartbeat_utc"], f"Attempt {attempt} took over.")
        note_flow_run(connection, flow_run_id, row["trigger_id"], attempt)
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
            row = row_of(self._connection, trigger_id)
            if row is None:
                raise RunRecordError(
                    f"There is no run {trigger_id!r}.",
                    safe="nothing was changed.",
                    next_step="`eucentric run ls` lists the runs.",
                )
            return self._view(row)

    def run_of(self, flow_run_id: str) -> RunView | None:
        """The run that a flow run of Prefect carries out, or carried out in an earlier attempt."""
        with self._lock:
            row = self._connection.execute(
                "SELECT runs.* FROM runs JOIN flow_runs USING (trigger_id) WHERE flow_runs.flow_run_id = ?",
                (flow_run_id,),
            ).fetchone()
            return None if row is None else self._view(row)

    def unended(self) -> tuple[RunView, ...]:
        """Every run that has not ended, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT * FROM runs WHERE outcome IS NULL ORDER BY started_utc"
            ).fetchall()
            return tuple(self._view(row) for row in rows)

    def flow_runs_of(self, trigger_id: str) -> dict[str, int]:
        """Prefect's flow runs of a run, with the attempt that each was."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT flow_run_id, attempt FROM flow_runs WHERE trigger_id = ?", (trigger_id,)
            ).fetchall()
        return {row["flow_run_id"]: row["attempt"] for row in rows}

    def history(self) -> tuple[PastRun, ...]:
        """What guards look at: admitted runs of the last month, and all that are in flight."""
        with self._lock:
            return self._history(self._connection, self._clock())

    def request_cancel(self, trigger_id: str, by: str) -> RunView:
        """Ask whoever carries a run out to stop; one that has ended stays as it ended.

        Raises:
            RunRecordError: there is no such run.
        """
        self.write(
            "UPDATE runs SET cancel_utc = ?, cancelled_by = ?"
            " WHERE trigger_id = ? AND outcome IS NULL AND cancel_utc IS NULL",
            self.now(),
            by,
            trigger_id,
        )
        return self.run(trigger_id)

    def reopen(self, trigger_id: str) -> RunView:
        """A person wants a run that was cancelled, failed or lost to go on: the slate is clean again."""
        self.write(
            "UPDATE runs SET cancel_utc = NULL, cancelled_by = NULL, resumes = 0, resumed_utc = NULL,"
            " outcome = CASE outcome WHEN 'cancelled' THEN 'failed' ELSE outcome END WHERE trigger_id = ?",
            trigger_id,
        )
        return self.run(trigger_id)

    def note_resumed(self, view: RunView) -> None:
        """The service has asked for another attempt at a lost run."""
        self.write(
            "UPDATE runs SET resumed_utc = ?, resumes = resumes + 1 WHERE trigger_id = ? AND attempt = ?",
            self.now(),
            view.trigger_id,
            view.attempt,
        )

    def note_dead(self, trigger_id: str, attempt: int) -> None:
        """The process of an attempt is known to be gone: it is lost at once, not only once it is silent."""
        long_ago = self._clock() - timedelta(seconds=LOST_AFTER_S + 1)
        self.write(
            "UPDATE runs SET heartbeat_utc = min(heartbeat_utc, ?)"
            " WHERE trigger_id = ? AND attempt = ? AND outcome IS NULL",
            long_ago.isoformat(),
            trigger_id,
            attempt,
        )

    def end_lost(self, view: RunView, outcome: Outcome, reason: str) -> bool:
        """End a run that nobody carries out any more; False where somebody does again, or it has ended."""
        with self._lock, transaction(self._connection) as connection:
            row = row_of(connection, view.trigger_id)
            if row is None or row["outcome"] is not None or row["attempt"] != view.attempt:
                return False
            if self._age_s(row, self._clock()) < LOST_AFTER_S:
                return False
            close_stages(connection, view.trigger_id, row["heartbeat_utc"], reason)
            connection.execute(
                "UPDATE runs SET ended_utc = ?, outcome = ?, reason = ? WHERE trigger_id = ?",
                (self.now(), outcome, reason, view.trigger_id),
            )
            return True

    def note_first_answer(self, trace_id: str, at_utc: datetime) -> None:
        """The edge answered its first frame with the version that a run led to; the first word counts."""
        for view in self.runs(limit=_RECENT):
            if view.trace_id == trace_id and view.first_answer_utc is None:
                self.write(
                    "UPDATE runs SET first_answer_utc = ? WHERE trigger_id = ?",
                    at_utc.isoformat(),
                    view.trigger_id,
                )

    def known(self, trigger_id: str) -> RunView | None:
        """One run, or None where there is none."""
        with self._lock:
            row = row_of(self._connection, trigger_id)
            return None if row is None else self._view(row)

    def find(self, beginning: str) -> RunView:
        """The run whose trigger id is this, or the only one whose trigger id begins with it.

        Raises:
            RunRecordError: there is none, or several.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT trigger_id FROM runs WHERE trigger_id = ? OR substr(trigger_id, 1, ?) = ? LIMIT 9",
                (beginning, len(beginning), beginning),
            ).fetchall()
        found = [row["trigger_id"] for row in rows]
        if beginning in found or len(found) <= 1:
            return self.run(beginning if not found or beginning in found else found[0])
        raise RunRecordError(
            f"{len(found)} runs begin with {beginning!r}: {', '.join(found)}.",
            safe="nothing was changed.",
            next_step="give more of the trigger id.",
        )

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
            "SELECT *, (SELECT SUM(julianday(coalesce(stages.ended_utc, runs.heartbeat_utc))"
            " - julianday(stages.started_utc)) FROM stages"
            " WHERE stages.trigger_id = runs.trigger_id AND name = 'train') AS busy_days"
            " FROM runs WHERE admitted"
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
                outcome=row["outcome"],
                busy_s=max(0.0, (row["busy_days"] or 0.0) * 86_400),
            )
            for row in rows
        )

    def _view(self, row: sqlite3.Row) -> RunView:
        return run_view(
            self._connection, row, age_s=self._age_s(row, self._clock()), lost_after_s=LOST_AFTER_S
        )
