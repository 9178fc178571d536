"""The record of runs survives whatever happens to the process that carries a run out."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eucentric_core import ConfigurationError
from eucentric_flows import Admission, RunRecord, RunRecordError, carrying_out, decide
from eucentric_flows.policy import Decision, PastRun

from .conftest import drift_event, drift_policy

KILLED_WHILE_TRAINING = """
import sys, time
from pathlib import Path
from eucentric_flows import RunRecord, carrying_out
with RunRecord(Path(sys.argv[1])) as record, carrying_out(record, "t1") as run:
    with run.stage("gather"):
        pass
    with run.stage("train") as say:
        say("members: 1 of 3")
        print("training", flush=True)
        time.sleep(600)
"""


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(tmp_path: Path, clock: Clock) -> Iterator[RunRecord]:
    with RunRecord(tmp_path / "runs.sqlite", clock=clock) as opened:
        yield opened


def by_policy(history: Sequence[PastRun], now: datetime) -> Decision:
    return decide(drift_policy(), drift_event(), history, now)


def admit(record: RunRecord, trigger_id: str) -> Admission:
    return record.admit(
        trigger_id=trigger_id,
        kind="retrain",
        policy="on-drift",
        model="atoms",
        triggered_by="policy",
        request={"trigger_id": trigger_id},
        decision=by_policy,
    )


def test_a_run_is_recorded_stage_by_stage(record: RunRecord, clock: Clock) -> None:
    assert admit(record, "t1").status == "new"
    with carrying_out(record, "t1") as run:
        with run.stage("gather") as say:
            say("16 of 32 frames")
            clock.now += timedelta(seconds=5)
            assert record.run("t1").stages[0].message == "16 of 32 frames"
        with run.stage("train"):
            clock.now += timedelta(seconds=20)
        run.end("promoted", "better", version=2)
    view = record.run("t1")
    assert (view.state, view.version, view.triggered_by) == ("promoted", 2, "policy")
    assert view.stage_s == {"gather": 5.0, "train": 20.0}


def test_a_trigger_that_was_dealt_with_is_not_carried_out_again(record: RunRecord) -> None:
    admit(record, "t1")
    with carrying_out(record, "t1") as run:
        run.end("promoted", "better", version=2)
    again = admit(record, "t1")
    assert (again.status, again.reason) == ("finished", "dealt with before: promoted, better")
    assert len(record.runs()) == 1


def test_what_is_held_is_recorded_with_its_reason(record: RunRecord) -> None:
    admit(record, "t1")
    assert admit(record, "t2").status == "held"
    held = record.run("t2")
    assert (held.state, held.reason) == ("held", "run t1 of model atoms is in flight")
    assert [view.trigger_id for view in record.runs()] == ["t2", "t1"]


def test_a_failure_is_recorded_and_the_run_can_be_resumed(record: RunRecord) -> None:
    admit(record, "t1")
    refusal = ConfigurationError("The key is missing.", safe="nothing was signed.", next_step="make one.")
    with (
        pytest.raises(ConfigurationError),
        carrying_out(record, "t1") as run,
        run.stage("sign"),
    ):
        raise refusal
    failed = record.run("t1")
    assert (failed.state, failed.reason) == ("failed", "The key is missing.")
    assert failed.stages[0].error == refusal.report()

    assert admit(record, "t1").status == "resumed"
    with carrying_out(record, "t1") as run, run.stage("sign"):
        pass
    assert [(stage.attempt, stage.error is None) for stage in record.run("t1").stages] == [
        (1, False),
        (2, True),
    ]


def test_a_killed_run_is_shown_as_lost_and_resumed(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    clock = Clock()
    clock.now = datetime.now(UTC)
    with RunRecord(path, clock=clock) as record:
        admit(record, "t1")
        worker = subprocess.Popen(
            [sys.executable, "-c", KILLED_WHILE_TRAINING, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        with worker, worker.stdout:
            assert worker.stdout.readline() == "training\n"
            worker.send_signal(signal.SIGKILL)
        with pytest.raises(RunRecordError, match="being carried out by another process"):
            admit(record, "t1")
        clock.now += timedelta(seconds=60)
        lost = record.run("t1")
        assert lost.state == "lost"
        assert 30 < lost.heartbeat_age_s < 61
        assert [stage.message for stage in lost.stages] == ["", "members: 1 of 3"]
        resumed = admit(record, "t1")
        assert (resumed.status, resumed.attempt) == ("resumed", 2)
        assert record.run("t1").state == "running"


def test_what_was_taken_over_no_longer_listens_to_the_one_before(record: RunRecord, clock: Clock) -> None:
    admit(record, "t1")
    with carrying_out(record, "t1") as stalled:
        clock.now += timedelta(seconds=60)
        assert admit(record, "t1").status == "resumed"
        stalled.end("promoted", "a word too late", version=9)
        assert record.run("t1").state == "running"
        with carrying_out(record, "t1") as second:
            second.end("rejected", "not better", version=2)
    assert (record.run("t1").state, record.run("t1").version) == ("rejected", 2)


def test_of_many_triggers_at_once_one_is_admitted(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    admissions: list[Admission] = []

    def ask(number: int) -> None:
        with RunRecord(path) as own_connection:
            admissions.append(admit(own_connection, f"t{number}"))

    with RunRecord(path):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(admission.status for admission in admissions) == ["held"] * 7 + ["new"]


def test_a_resumed_run_waits_for_the_one_that_is_in_flight(record: RunRecord, clock: Clock) -> None:
    admit(record, "t1")
    clock.now += timedelta(seconds=3600)
    assert admit(record, "t2").status == "new"
    with pytest.raises(RunRecordError, match="t2 of model atoms is in flight"):
        admit(record, "t1")


def test_an_unknown_run_is_an_error(record: RunRecord) -> None:
    with pytest.raises(RunRecordError, match="no run 'nothing'"):
        record.run("nothing")
