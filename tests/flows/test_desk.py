"""What people do with flows and policies, by whatever door they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from eucentric_core import ConfigurationError, Settings, load_settings, utc_now
from eucentric_flows import RunRecord, carrying_out, runs_path
from eucentric_flows._cli import app
from eucentric_flows.catalogue import MontageRequest
from eucentric_flows.desk import (
    answer_firing,
    awaiting,
    cancel_run,
    estimate_flow,
    estimate_lines,
    flow_named,
    policy_pause,
    policy_standings,
    request_of,
    switch_policy,
    take_into_use,
)
from eucentric_flows.engine import Answers, Decisions, PolicyStore, policies_file
from eucentric_flows.policy import Decision, PolicyError, Ruling

from .test_policy_commands import POLICY


@pytest.fixture
def hub(tmp_path: Path) -> Settings:
    return load_settings(flags={"home": str(tmp_path)}, environment={})


@pytest.fixture
def record(hub: Settings) -> Iterator[RunRecord]:
    with RunRecord(runs_path(hub)) as opened:
        yield opened


def admit(record: RunRecord, trigger_id: str, *, model: str = "atoms", kind: str = "retrain") -> None:
    record.admit(
        trigger_id=trigger_id, kind=kind, policy=None, model=model, triggered_by="manual",
        request={"trigger_id": trigger_id, "requested_by": "ana"},
        decision=lambda _past, _now: Decision(fire=True, reason="asked for"),
    )  # fmt: skip


def waits(hub: Settings, occurrence: str) -> None:
    with PolicyStore(policies_file(hub)) as store:
        ruling = Ruling(
            occurrence=occurrence, status="awaiting", reason="ask", until_utc=utc_now() + timedelta(1)
        )
        Decisions(store).record("on-drift", ruling, utc_now(), event_kind="drift.detected")


def test_what_is_not_named_stays_as_the_flow_has_it_deep_inside_too() -> None:
    request = request_of(flow_named("montage"), {"plan": {"rows": 5, "exposure": {"width_px": 64}}}, by="ana")

    usual = MontageRequest().plan
    assert isinstance(request, MontageRequest)
    assert (request.plan.rows, request.plan.columns) == (5, usual.columns)
    assert (request.plan.exposure.width_px, request.plan.exposure.height_px) == (64, usual.exposure.height_px)
    assert request.requested_by == "ana"
    assert request.trigger_id


def test_a_name_that_is_misspelt_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigurationError) as told:
        flow_named("montge")
    assert told.value.next_step == "did you mean montage?"
    with pytest.raises(ValidationError):
        request_of(flow_named("montage"), {"plan": {"rows": 0}})


def test_an_estimate_says_what_it_does_how_long_that_took_and_what_holds_it(
    hub: Settings, record: RunRecord
) -> None:
    spec = flow_named("retrain")
    request = request_of(spec, {"model": "atoms", "session": "s1"})
    unknown = estimate_flow(hub, spec, request, record.runs())
    assert (unknown.runs, unknown.usual_s, unknown.held_by) == (0, None, None)
    assert "is retrained by ELIT" in unknown.does
    assert "how long it takes is not known" in "\n".join(estimate_lines(unknown))
    admit(record, "t1")
    with carrying_out(record, "t1") as run:
        with run.stage("train") as say:
            say("step 1")
        run.end("promoted", "better", version=2)
    admit(record, "t2")

    known = estimate_flow(hub, spec, request, record.runs())

    assert (known.runs, known.held_by) == (1, "t2")
    assert list(known.stage_s) == ["train"]
    assert known.node_hours is not None
    assert known.node_hours_at_most == pytest.approx(1.0)
    other = estimate_flow(hub, spec, request_of(spec, {"model": "chips", "session": "s"}), record.runs())
    assert (other.runs, other.held_by) == (1, None), "the time of another model is better than none"
    assert "one runs at a time" in "\n".join(estimate_lines(known))


def test_the_command_line_estimates_by_the_same_words_and_starts_nothing(hub: Settings) -> None:
    config = hub.home / "eucentric.toml"
    config.write_text(f'home = "{hub.home}"\n')
    words = ["run", "montage", "-p", "plan.rows=4", "--dry-run", "--json", "--config", str(config)]

    told = json.loads(CliRunner().invoke(app, words).stdout)

    assert (told["flow"], told["subject"], told["node_hours_at_most"]) == ("montage", "microscope-1", None)
    with RunRecord(runs_path(hub)) as record:
        assert record.runs() == ()


def test_a_run_whose_process_is_gone_is_ended_by_who_cancels_it(hub: Settings, record: RunRecord) -> None:
    admit(record, "t1")
    assert cancel_run(hub, "t1", "ben").cancelled_by == "ben"
    admit(record, "t2", model="other")
    record.note_dead("t2", 1)

    ended = cancel_run(hub, "t2", "ben")

    assert (ended.state, ended.asked_by) == ("cancelled", "ana")
    assert "Cancelled by ben" in ended.reason


def test_a_policy_is_taken_into_use_as_text_and_a_bad_one_changes_nothing(hub: Settings) -> None:
    assert take_into_use(hub, POLICY, "this").name == "on-drift"
    with pytest.raises(PolicyError) as refused:
        take_into_use(hub, POLICY.replace('"retrain"', '"retrian"'), "this")
    assert refused.value.problems[0].nearest == "retrain"
    switch_policy(hub, "on-drift", on=False, by="ana", because="column open")

    (standing,) = policy_standings(hub)

    assert standing.why_off is not None
    assert standing.why_off.endswith("column open")
    assert policy_pause(hub) is None


def test_the_first_answer_counts_and_who_comes_second_is_told(hub: Settings) -> None:
    waits(hub, "e1")

    assert answer_firing(hub, "on-drift", None, approved=False, by="ana", because="charging") == "e1"
    with pytest.raises(PolicyError, match="ana has rejected this firing"):
        answer_firing(hub, "on-drift", "e1", approved=True, by="ben")

    with PolicyStore(policies_file(hub)) as store:
        answer = Answers(store).open(["on-drift"])["on-drift", "e1"]
    assert (answer.said_by, answer.approved) == ("ana: charging", False)
    waits(hub, "e2")
    with pytest.raises(PolicyError, match="2 firings"):
        answer_firing(hub, "on-drift", None, approved=True, by="ben")
    assert {one.occurrence for one in awaiting(hub)} == {"e1", "e2"}


def test_books_that_an_older_version_wrote_get_the_column_of_reasons(hub: Settings) -> None:
    with PolicyStore(policies_file(hub)) as store, store.transaction() as connection:
        connection.execute("DROP TABLE answers")
        connection.execute(
            "CREATE TABLE answers (policy TEXT NOT NULL, occurrence TEXT NOT NULL, approved INTEGER NOT NULL,"
            " person TEXT NOT NULL, PRIMARY KEY (policy, occurrence))"
        )
        connection.execute("INSERT INTO answers VALUES ('on-drift', 'e1', 1, 'ana')")
    waits(hub, "e1")

    with PolicyStore(policies_file(hub)) as store:
        answer = Answers(store).open(["on-drift"])["on-drift", "e1"]

    assert (answer.by, answer.because) == ("ana", "")
