"""What people are shown of a run, and what becomes of one that nobody carries out any more."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eucentric_core import ErrorReport, EucentricError
from eucentric_flows import RunCancelledError, RunRecord, RunTakenOverError, RunView, StageView, WaitView
from eucentric_flows.policy import Decision
from eucentric_flows.runs import (
    MOST_RESUMES,
    Fate,
    carrying_out,
    duration_words,
    fate_of,
    interruptible,
    log_lines,
    state_words,
    time_line,
    wait_of,
)

BEGIN = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def stage(name: str, begin_s: float, end_s: float | None, **facts: object) -> StageView:
    return StageView.model_validate(
        {
            "name": name,
            "attempt": 1,
            "started_utc": at(begin_s),
            "ended_utc": None if end_s is None else at(end_s),
            "message": "",
            "error": None,
            **facts,
        }
    )


def run_view(**facts: object) -> RunView:
    return RunView.model_validate(
        {
            "trigger_id": "t1",
            "kind": "retrain",
            "policy": None,
            "model": "atoms",
            "triggered_by": "manual",
            "flow_run_id": None,
            "attempt": 1,
            "state": "running",
            "reason": "",
            "version": None,
            "requested_utc": BEGIN,
            "started_utc": at(1),
            "ended_utc": None,
            "heartbeat_age_s": 1.0,
            "stages": (),
            "request": {},
            **facts,
        }
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("queued in Slurm: Priority (others come first), 4 min",
         "queued in Slurm: Priority (others come first)"),
        ("queued in Slurm: Resources (waits), 12 s", "queued in Slurm: Resources (waits)"),
        ("waiting for workers", "waiting for workers"),
        ("waiting for the model registry, next try in 7 s: it is down",
         "waiting for the model registry: it is down"),
        ("member 1 of 3, step: 5 of 90", None),
        ("the edge serves version 3", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_wait_is_told_from_work_by_what_is_said(said: str, reason: str | None) -> None:
    assert wait_of(said) == reason


def test_a_time_line_shows_work_waits_and_failure_where_they_were() -> None:
    error = ErrorReport(code="x", what="It broke.", safe="all is.", next_step="mend it.")
    run = run_view(
        state="failed",
        reason="It broke.",
        ended_utc=at(100),
        stages=(stage("gather", 1, 10), stage("train", 10, 100, error=error)),
        waits=(
            WaitView(
                stage="train",
                attempt=1,
                reason="queued in Slurm: Priority",
                began_utc=at(10),
                ended_utc=at(60),
            ),
        ),
    )
    lines = time_line(run, at(200), cells=50)
    rows = {line.split()[0]: line for line in lines if line.strip()}
    bar = rows["train"].split()[1]
    assert len(bar) == 50
    assert bar.index("░") == 5
    assert bar.count("░") == pytest.approx(25, abs=1)
    assert bar.endswith("✗")
    assert "It broke." in rows["train"]
    assert any("queued in Slurm: Priority, 50 s" in line for line in lines)
    assert "14:02:11" in lines[0]
    assert "14:03:51" in lines[0]


def test_a_stage_under_way_reaches_to_the_present() -> None:
    run = run_view(stages=(stage("gather", 1, 10), stage("train", 10, None, message="step 5")))
    (row,) = [line for line in time_line(run, at(110), cells=20) if line.startswith("train")]
    assert row.split()[1].endswith("▶")
    assert "step 5" in row


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"heartbeat_age_s": 2.0}, "running"),
        ({"heartbeat_age_s": 14.0}, "running, silent for 14 s"),
        ({"state": "lost", "heartbeat_age_s": 240.0}, "lost: silent for 4 min"),
        ({"state": "promoted", "version": 4}, "promoted (version 4)"),
        ({"cancel_utc": at(3), "cancelled_by": "ada"}, "running, being cancelled"),
    ],
)
def test_silence_is_said(facts: dict[str, object], words: str) -> None:
    assert state_words(run_view(**facts)) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (42, "42 s"), (240, "4 min"), (7200, "2.0 h")]
)
def test_durations_are_said_as_people_do(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("facts", "fate"),
    [
        ({}, Fate.LEAVE),
        ({"state": "failed"}, Fate.LEAVE),
        ({"state": "lost"}, Fate.RESUME),
        ({"state": "lost", "cancel_utc": at(5), "cancelled_by": "ada"}, Fate.CANCEL),
        ({"state": "lost", "kind": "bootstrap"}, Fate.END),
        ({"state": "lost", "resumes": MOST_RESUMES}, Fate.END),
        ({"state": "lost", "resumes": 1, "resumed_utc": at(90)}, Fate.LEAVE),
        ({"state": "lost", "resumes": 1, "resumed_utc": at(-90)}, Fate.RESUME),
    ],
)
def test_a_lost_run_goes_on_or_ends_but_is_never_left(facts: dict[str, object], fate: Fate) -> None:
    assert fate_of(run_view(**facts), at(100)) is fate


def test_a_lost_run_is_gone_on_with_a_bounded_number_of_times() -> None:
    now, fates = at(100), []
    for resumes in range(MOST_RESUMES + 1):
        fates.append(fate_of(run_view(state="lost", resumes=resumes), now))
    assert fates == [Fate.RESUME] * MOST_RESUMES + [Fate.END]


def test_an_interruption_ends_a_wait() -> None:
    forever = threading.Event()
    wanted = RunCancelledError("Cancelled.", safe="all is.", next_step="none.")
    with pytest.raises(RunCancelledError), interruptible() as interrupt:  # noqa: PT012
        threading.Timer(0.05, interrupt, [wanted]).start()
        forever.wait(30)


def admitted(record: RunRecord, trigger_id: str = "t1") -> None:
    record.admit(
        trigger_id=trigger_id,
        kind="retrain",
        policy=None,
        model="atoms",
        triggered_by="manual",
        request={},
        decision=lambda _history, _now: Decision(fire=True, reason="asked for"),
    )


def test_a_cancelled_run_ends_wherever_it_stands_and_lets_go(tmp_path: Path) -> None:
    let_go = []
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record)
        with pytest.raises(RunCancelledError), carrying_out(record, "t1") as run, run.stage("train") as say:  # noqa: PT012
            try:
                say("queued in Slurm: Priority, 4 min")
                assert record.run("t1").waiting is not None
                record.request_cancel("t1", "ada")
                threading.Event().wait(60)
            finally:
                let_go.append(True)
        view = record.run("t1")
    assert let_go == [True]
    assert (view.state, view.reason) == ("cancelled", "Cancelled by ada.")
    assert view.waits[0].reason == "queued in Slurm: Priority"
    assert view.waits[0].ended_utc is not None


def test_what_a_run_said_of_its_end_is_not_taken_back_by_a_late_signal(tmp_path: Path) -> None:
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record)
        with (  # noqa: PT012
            pytest.raises(KeyboardInterrupt),
            carrying_out(record, "t1", leave_on=(KeyboardInterrupt,)) as run,
        ):
            run.end("promoted", "better", version=2)
            raise KeyboardInterrupt
        assert (record.run("t1").state, record.run("t1").reason) == ("promoted", "better")


def test_a_process_that_ends_before_its_run_leaves_it_to_another_at_once(tmp_path: Path) -> None:
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record)
        with pytest.raises(KeyboardInterrupt), carrying_out(record, "t1", leave_on=(KeyboardInterrupt,)):
            raise KeyboardInterrupt
        assert record.run("t1").state == "lost"


def test_a_process_whose_run_was_taken_over_stops(tmp_path: Path) -> None:
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record)
        with pytest.raises(RunTakenOverError), carrying_out(record, "t1") as run, run.stage("train"):  # noqa: PT012
            record.note_dead("t1", 1)
            admitted(record)
            time.sleep(60)
        assert record.run("t1").attempt == 2
        assert record.run("t1").state == "running"
        assert record.run("t1").stages[0].error is not None


def test_a_lost_run_is_ended_once_and_not_under_the_hands_of_another(tmp_path: Path) -> None:
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record)
        assert not record.end_lost(record.run("t1"), "failed", "alive after all")
        record.note_dead("t1", 1)
        lost = record.run("t1")
        assert record.end_lost(lost, "failed", "lost")
        assert not record.end_lost(lost, "cancelled", "again")
        assert (record.run("t1").state, record.run("t1").reason) == ("failed", "lost")


def test_a_run_is_found_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    with RunRecord(tmp_path / "runs.sqlite") as record:
        admitted(record, "abc1")
        record.note_dead("abc1", 1)
        admitted(record, "abd2")
        assert record.find("abc").trigger_id == "abc1"
        for beginning in ("ab", "x"):
            with pytest.raises(EucentricError, match=r"begin with|no run"):
                record.find(beginning)


def test_logs_of_a_run_are_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "edge.jsonl").write_text(
        '{"time": "2", "message": "installed", "trace_id": "t"}\n{"time": "3", "message": "cut sho'
    )
    (tmp_path / "retrain.jsonl").write_text(
        '{"time": "1", "message": "trained", "trace_id": "t"}\n'
        '{"time": "2", "message": "x", "trace_id": "u"}\n'
    )
    assert [line["message"] for line in log_lines(tmp_path, "t")] == ["trained", "installed"]
