"""Runs are shown from the flows' own record: how far they are, how long it took, what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from eucentric_core import DataFormatError, Settings, utc_now
from eucentric_dashboard._runs_reader import RunsReader
from eucentric_dashboard.pages.live._runs import run_in_words, stage_tone, stage_words
from eucentric_flows import RunRecord, RunView, carrying_out, runs_path
from eucentric_flows.policy import Decision

from .stand_in import Site


def admitted(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> RunRecord:
    record = RunRecord(runs_path(settings), clock=clock)
    record.admit(
        trigger_id="t1",
        kind="retrain",
        policy="drift",
        model="atoms",
        triggered_by="policy",
        request={},
        decision=lambda _history, _now: Decision(fire=True, reason="drift 1.4 is over 1.0"),
    )
    return record


def only_run(settings: Settings) -> RunView:
    reader = RunsReader(runs_path(settings))
    (run,) = reader()
    reader.close()
    return run


def test_a_machine_without_a_record_has_no_runs_and_none_is_made(site: Site) -> None:
    path = runs_path(site.settings)

    assert RunsReader(path)() == ()
    assert not path.exists()


def test_a_waiting_run_says_what_it_waits_for(site: Site) -> None:
    with admitted(site.settings) as record, carrying_out(record, "t1") as active:
        with active.stage("collect"):
            pass
        with active.stage("train") as say:
            say("waiting for a worker: 1 job before this one")
            run = only_run(site.settings)

            assert run_in_words(run) == "train: waiting for a worker: 1 job before this one"
            assert [stage_tone(stage) for stage in run.stages] == ["done", "active"]
            assert stage_words(run.stages[1], now_utc=utc_now()).endswith("so far")
        active.end("promoted", "F1 0.93 against 0.61", version=2)

    assert run_in_words(only_run(site.settings)) == "promoted v2: F1 0.93 against 0.61"


def test_a_run_whose_process_died_is_called_lost_and_not_running(site: Site) -> None:
    admitted(site.settings, clock=lambda: utc_now() - timedelta(minutes=3)).close()

    run = only_run(site.settings)

    assert run.state == "lost"
    assert "not heard of for 3 min" in run_in_words(run)


def test_a_file_that_is_no_record_is_refused_in_words(site: Site) -> None:
    path = runs_path(site.settings)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, whatever its name says" * 40)

    with pytest.raises(DataFormatError, match="cannot be read"):
        RunsReader(path)()
