"""Pictures and tables of the working pages, from plain facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from eucentric_core import ErrorReport, Lineage
from eucentric_dashboard.forms import fields_of
from eucentric_dashboard.pages.flows._time_line import time_line_html
from eucentric_dashboard.pages.flows._words import heartbeat_words, now_words, took_words
from eucentric_dashboard.pages.models._evidence import read_evidence
from eucentric_dashboard.pages.models._facts import ModelFacts, move_to, version_rows
from eucentric_dashboard.pages.models._lineage import lineage_svg
from eucentric_dashboard.pages.models._periods import periods_svg
from eucentric_dashboard.pages.models._signatures import SignatureState
from eucentric_dashboard.pages.policies._backtest import chart_options
from eucentric_dashboard.pages.policies._declaration import policy_toml, problems_at_fields
from eucentric_dashboard.widgets import GraphEdge, GraphNode, graph_svg
from eucentric_flows import RunView, StageView, WaitView
from eucentric_flows.policy import Backtest, Firing, Policy, Problem, parse_policy
from eucentric_model_registry import Deployment, RegisteredVersion, ServicePeriod

from .work_site import evidence_html, speckle_png

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def version(number: int, *aliases: str, **metrics: float) -> RegisteredVersion:
    lineage = Lineage(
        datasets=("twin.s1", "twin.<s2>"),
        code_version="0.1.0",
        trigger_id=f"t{number}",
        policy="drift",
        run_id="r7",
        trained_from="atoms v1",
    )
    return RegisteredVersion(
        name="atoms",
        version=number,
        run_id="x",
        envelope_sha256="ab" * 32,
        lineage=lineage,
        metrics=metrics,
        registered_utc=NOON,
        aliases=aliases,
    )


def run(**changes: Any) -> RunView:
    facts: dict[str, Any] = {
        "trigger_id": "t1", "kind": "retrain", "policy": None, "model": "atoms", "triggered_by": "manual",
        "flow_run_id": None, "attempt": 1, "state": "running", "reason": "", "version": None,
        "requested_utc": at(0), "started_utc": at(2), "ended_utc": None, "heartbeat_age_s": 1.0, "stages": (),
        "request": {"requested_by": "ana"},
    }  # fmt: skip
    return RunView.model_validate({**facts, **changes})


def stage(name: str, begin: float, end: float | None, message: str = "", error: Any = None) -> StageView:
    return StageView(
        name=name,
        attempt=1,
        started_utc=at(begin),
        ended_utc=None if end is None else at(end),
        message=message,
        error=error,
    )


def test_the_table_has_the_same_few_figures_for_every_version_and_says_what_can_be_done() -> None:
    versions = (version(3, f1=0.9, odd=1.0), version(2, "champion", f1=0.8), version(1, f1=0.7, recall=0.5))

    rows = version_rows(ModelFacts("atoms", versions))

    assert [dict(row.figures) for row in rows] == [
        {"f1": "0.9", "odd": "1"},
        {"f1": "0.8", "odd": ""},
        {"f1": "0.7", "odd": ""},
    ]
    assert [row.move for row in rows] == ["promote", None, "roll back"]
    assert move_to(1, None) == "promote"


def test_lineage_is_a_picture_with_a_text_and_nothing_from_outside_is_markup() -> None:
    deployed = Deployment(name="atoms", version=2, edge="edge-1", state="serving", since_utc=NOON)

    drawn = lineage_svg(version(2, f1=0.8), [deployed], SignatureState("signed", "signed by 1 trusted key"))

    root = ElementTree.fromstring(drawn)  # noqa: S314 - of our own making
    label = root.attrib["aria-label"]
    assert "twin.<s2>" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for said in ("atoms v2", "2 data sets", "policy drift", "signed by 1 trusted key", "serving at edge-1"):
        assert said in label


def test_boxes_stand_in_the_order_of_what_came_of_what_even_in_a_circle() -> None:
    nodes = [GraphNode(name, name) for name in "abc"]
    edges = [GraphEdge("a", "b"), GraphEdge("b", "c"), GraphEdge("c", "a"), GraphEdge("b", "nowhere")]

    root = ElementTree.fromstring(graph_svg(nodes, edges[:2], title="t"))  # noqa: S314 - of our own making
    left = [float(box.attrib["x"]) for box in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert left == sorted(left)
    assert len(set(left)) == 3
    assert graph_svg(nodes, edges, title="t").count("<rect") == 3


def test_production_is_drawn_for_each_edge_until_now() -> None:
    periods = [
        ServicePeriod(edge="edge-1", version=1, since_utc=at(0), until_utc=at(60)),
        ServicePeriod(edge="edge-1", version=2, since_utc=at(60), until_utc=None),
    ]

    root = ElementTree.fromstring(periods_svg(periods, at(120)))  # noqa: S314 - of our own making

    bars = [float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars[0] == pytest.approx(bars[1], abs=1)
    assert "v2 at edge-1 from 2026-03-01 12:01:00 to now" in root.attrib["aria-label"]


def test_evidence_gives_its_verdict_and_pairs_of_images() -> None:
    found = read_evidence(evidence_html("atoms", 3, 2).encode())

    assert found.title == "atoms: challenger v3 against champion v2"
    assert found.verdict.startswith("Accepted")
    assert [pair.title for pair in found.pairs] == ["held-out image 1", "held-out image 2"]
    assert [image.says for image in found.pairs[0].images] == ["champion: 38 found", "challenger: 61 found"]
    assert found.pairs[0].images[1].png == speckle_png(1)


def test_what_is_no_png_is_not_shown_whatever_the_page_says() -> None:
    page = evidence_html("atoms", 3, 2)
    worse = page.replace("data:image/png;base64,", "https://elsewhere.example/x.png?", 1)

    assert len(read_evidence(worse.encode()).pairs[0].images) == 1
    script = b"<h3>x</h3><img src='data:image/png;base64,PHNjcmlwdD4='><img src='data:image/png;base64,%%'>"
    assert read_evidence(script).pairs[0].images == ()


def test_a_time_line_shows_work_waiting_failure_and_the_first_answer() -> None:
    failed = ErrorReport(code="x", what="MLflow <did> not answer.", safe="", next_step="start it")
    shown = run(
        state="failed",
        ended_utc=at(100),
        stages=(stage("train", 10, 60, "step 9"), stage("judge", 60, 90, error=failed)),
        waits=(
            WaitView(stage="train", attempt=1, reason="queued in Slurm", began_utc=at(10), ended_utc=at(40)),
        ),
        first_answer_utc=at(95),
    )

    html = time_line_html(shown, at(500))

    assert 'class="wait" style="left:10.00%;width:30.00%"' in html
    assert "waited: queued in Slurm" in html
    assert "MLflow &lt;did&gt; not answer." in html
    assert "Next: start it" in html
    assert "until the flow began" in html
    assert 'class="answer"' in html


def test_what_runs_says_what_it_waits_for_and_how_it_is() -> None:
    waiting = run(
        stages=(stage("train", 3, None, "queued in Slurm: Priority, 2 min"),),
        waits=(
            WaitView(stage="train", attempt=1, reason="queued in Slurm", began_utc=at(3), ended_utc=None),
        ),
    )

    assert now_words(waiting) == "train: waiting, queued in Slurm"
    assert heartbeat_words(waiting) == "alive, 1.0 s ago"
    assert heartbeat_words(run(heartbeat_age_s=12.0)) == "silent for 12 s"
    assert heartbeat_words(run(state="done", ended_utc=at(9))) == ""
    assert took_words(waiting, at(32)) == "30 s so far"
    assert now_words(run(state="lost", heartbeat_age_s=45)).startswith("lost: silent for 45 s")


def test_a_form_writes_only_what_is_no_default_and_the_file_means_the_same() -> None:
    fields = fields_of(Policy, hidden=("schema_version", "enabled"))
    wanted = Policy.model_validate(
        {
            "name": "p",
            "model": "atoms",
            "trigger": {"kind": "any", "of": [{"kind": "drift", "min_score": 1.5}, {"kind": "manual"}]},
            "guards": {"cooldown_s": 60, "quiet_hours": {"begin": "22:00", "end": "06:00", "days": ["mon"]}},
            "action": {"kind": "retrain", "members": 5},
        }
    )

    text = policy_toml(wanted.model_dump(mode="json", exclude_none=True), fields)

    assert parse_policy(text, "x") == wanted
    assert "members" in text
    assert "steps" not in text
    assert "max_runs_per_day" not in text


def test_a_policy_of_another_action_keeps_what_the_default_action_has_as_well() -> None:
    fields = fields_of(Policy, hidden=("schema_version", "enabled"))
    values = {"name": "p", "model": "a", "trigger": {"kind": "manual"}, "action": {"kind": "roll_back"}}

    assert parse_policy(policy_toml(values, fields), "x").action.kind == "roll_back"


def test_a_fault_of_the_text_is_said_at_the_field_with_the_word_that_was_meant() -> None:
    faults = [
        Problem(line=3, column=1, key="trigger.kind", reason="is no known kind", nearest="drift"),
        Problem(line=9, column=1, key="trigger.of[0].min_score", reason="is too small"),
        Problem(line=9, column=1, key="gaurds", reason="is no known key", nearest="guards"),
    ]

    said = problems_at_fields(faults, ("name", "trigger", "trigger.of"))

    assert said == {"trigger": "is no known kind; did you mean drift?", "trigger.of": "is too small"}


def test_a_back_test_is_drawn_with_a_point_for_each_decision_and_its_reason() -> None:
    statuses: tuple[Any, ...] = ("fired", "held", "fired")
    outcome = Backtest(
        policy="p",
        begin_utc=at(0),
        end_utc=at(600),
        events=3,
        decisions=tuple(
            Firing(
                at_utc=at(number), occurrence=str(number), event_kind="x", status=status, reason=f"r{number}"
            )
            for number, status in enumerate(statuses)
        ),
        node_hours=1.0,
    )

    options = chart_options(outcome)

    assert options["yAxis"]["data"] == ["held", "fired"]
    assert [len(series["data"]) for series in options["series"]] == [2, 1]
    assert options["series"][1]["data"][0]["name"].endswith("r1")
