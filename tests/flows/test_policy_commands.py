"""What a person types: every answer is readable, and says what to do next."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from eucentric_core import PolicyRequested, Settings, load_settings, utc_now
from eucentric_flows import EventOutbox, outbox_path
from eucentric_flows._cli import policy_app
from eucentric_flows.engine import Answers, Decisions, History, Journal, PolicyStore, Switches, policies_file
from eucentric_flows.policy import Ruling, load_policy

from .conftest import drift_event

POLICY = """schema_version = 2
name = "on-drift"
model = "atoms"
[trigger]
kind = "any"
of = [{ kind = "drift", min_score = 1.5 }, { kind = "manual" }]
[action]
kind = "retrain"
"""


@pytest.fixture
def hub(tmp_path: Path) -> Settings:
    """A hub with one policy, and nothing that runs."""
    (tmp_path / "eucentric.toml").write_text(f'home = "{tmp_path}"\n')
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "on-drift.toml").write_text(POLICY)
    return load_settings(tmp_path / "eucentric.toml", environment={})


def typed(hub: Settings, *arguments: str) -> Result:
    # Wide enough that no table breaks its lines.
    command = [*arguments, "--config", str(hub.home / "eucentric.toml")]
    return CliRunner().invoke(policy_app, command, env={"COLUMNS": "300", "NO_COLOR": "1"})


def awaiting(hub: Settings, *events: str) -> None:
    now = utc_now()
    with PolicyStore(policies_file(hub)) as store:
        for event in events:
            ruling = Ruling(
                occurrence=event,
                status="awaiting",
                reason="a person has to approve",
                until_utc=now + timedelta(1),
            )
            Decisions(store).record("on-drift", ruling, now, event_kind="drift.detected")


def test_a_broken_file_is_shown_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(POLICY.replace('"drift"', '"drft"').replace("[action]", "[acton]"))
    said = CliRunner().invoke(policy_app, ["check", str(path)])
    assert said.exit_code == 2
    first, source, caret, second, *_ = said.stderr.splitlines()
    assert first == f"{path}, line 6, column 16, trigger.of[0].kind: is no known kind; did you mean drift?"
    assert source.endswith('of = [{ kind = "drft", min_score = 1.5 }, { kind = "manual" }]')
    assert source[caret.index("^") :].startswith('"drft"')
    assert second == f"{path}, line 7, column 2, acton: is no known key; did you mean action?"

    as_json = json.loads(CliRunner().invoke(policy_app, ["check", str(path), "--json"]).stdout)
    assert [problem["nearest"] for problem in as_json[0]["problems"]] == ["drift", "action"]


def test_a_file_is_taken_into_use_and_replaced_by_its_name(hub: Settings, tmp_path: Path) -> None:
    path = tmp_path / "draft.toml"
    path.write_text(POLICY.replace("1.5", "2.5").replace('"on-drift"', '"stricter"'))
    assert typed(hub, "enable", str(path)).stdout == "Policy stricter is on.\n"
    taken = hub.policies_path / "stricter.toml"
    assert load_policy(taken).name == "stricter"
    path.write_text(path.read_text().replace("2.5", "3.5"))
    assert typed(hub, "enable", str(path)).exit_code == 0
    assert "3.5" in taken.read_text()

    path.write_text("name = 3")
    before = sorted(hub.policies_path.iterdir())
    refused = typed(hub, "enable", str(path))
    assert (refused.exit_code, sorted(hub.policies_path.iterdir())) == (2, before)


def test_policies_are_listed_with_who_switched_them_and_who_decides(hub: Settings) -> None:
    assert typed(hub, "disable", "on-drift", "--by", "anna", "--because", "column open").exit_code == 0
    (found,) = json.loads(typed(hub, "ls", "--json").stdout)
    assert (found["on"], found["decided_by"]) == (False, "engine")
    assert "by anna" in found["why_off"]
    assert found["why_off"].endswith("column open")
    assert "off: policy on-drift was disabled by anna" in typed(hub, "ls").stdout
    typed(hub, "enable", "on-drift")
    assert json.loads(typed(hub, "ls", "--json").stdout)[0]["on"]
    typed(hub, "pause-all", "--by", "ben")
    assert "paused by ben" in json.loads(typed(hub, "ls", "--json").stdout)[0]["why_off"]
    typed(hub, "resume-all")
    with PolicyStore(policies_file(hub)) as store:
        assert Switches(store).why_off(load_policy(hub.policies_path / "on-drift.toml")) is None


def test_a_name_that_is_misspelt_is_answered_with_the_right_one(hub: Settings) -> None:
    said = typed(hub, "disable", "on-drft")
    assert said.exit_code == 2
    assert "did you mean on-drift?" in said.stderr


def test_a_person_fires_a_policy_that_allows_it(hub: Settings) -> None:
    said = typed(hub, "fire", "on-drift", "--by", "anna", "--session", "s1")
    outbox = EventOutbox(outbox_path(hub))
    (event,) = outbox.pending()
    outbox.close()
    assert isinstance(event, PolicyRequested)
    assert (event.policy, event.requested_by, event.session) == ("on-drift", "anna", "s1")
    assert event.id in said.stdout
    path = hub.policies_path / "on-drift.toml"
    path.write_text(POLICY.replace(', { kind = "manual" }', ', { kind = "dataset" }'))
    refused = typed(hub, "fire", "on-drift")
    assert refused.exit_code == 2
    assert "has no manual trigger" in refused.stderr


def test_an_answer_goes_to_the_firing_that_waits(hub: Settings) -> None:
    nothing = typed(hub, "approve", "on-drift")
    assert (nothing.exit_code, "Nothing of policy on-drift awaits approval" in nothing.stderr) == (2, True)
    awaiting(hub, "e1")
    assert typed(hub, "approve", "on-drift", "--by", "anna").stdout == "Approved: on-drift on e1.\n"
    awaiting(hub, "e2")
    several = typed(hub, "reject", "on-drift")
    assert "2 firings of policy on-drift await" in several.stderr.replace("awaits", "await")
    assert typed(hub, "reject", "on-drift", "e2", "--by", "ben").exit_code == 0
    with PolicyStore(policies_file(hub)) as store:
        said = {
            event: (answer.approved, answer.by)
            for (_, event), answer in Answers(store).open(["on-drift"]).items()
        }
    assert said == {"e1": (True, "anna"), "e2": (False, "ben")}


def test_the_history_hides_what_was_not_enough_and_shows_every_step_of_one_event(hub: Settings) -> None:
    assert typed(hub, "history").stdout == "Nothing was decided in that time.\n"
    awaiting(hub, "e1")
    now = utc_now()
    with PolicyStore(policies_file(hub)) as store:
        book = Decisions(store)
        low = Ruling(occurrence="e0", status="not_met", reason="drift score 1 is below 1.5")
        book.record("on-drift", low, now, event_kind="drift.detected")
        yes = Ruling(occurrence="e1", status="fired", reason="approved by anna")
        book.record("on-drift", yes, now, event_kind="drift.detected", trigger_id="e1", begins_a_run=True)
        assert len(History(store).newest()) == 2
    shown = typed(hub, "history", "on-drift").stdout
    assert "approved by anna" in shown
    assert "below" not in shown
    assert "below 1.5" in typed(hub, "history", "--all").stdout
    steps = typed(hub, "history", "--event", "e1").stdout
    assert steps.index("a person has to approve") < steps.index("approved by anna")


def test_a_back_test_says_what_would_have_happened(hub: Settings) -> None:
    now = utc_now()
    with PolicyStore(policies_file(hub)) as store:
        for hours in (5, 4, 1):
            at = now - timedelta(hours=hours)
            Journal(store).add(drift_event(id=f"e{hours}", drift_score=2.0, occurred_utc=at), at)
    outcome = json.loads(typed(hub, "backtest", "on-drift", "--run-s", "5400", "--json").stdout)
    assert [(each["occurrence"], each["status"]) for each in outcome["decisions"]] == [
        ("e5", "fired"),
        ("e4", "held"),
        ("e1", "fired"),
    ]
    assert outcome["node_hours"] == 3.0
    shown = typed(hub, "backtest", "on-drift", "--run-s", "5400").stdout
    assert "run e5 of model atoms is in flight" in shown
    assert "on-drift would have fired 2 time(s) (3 node-hours), held back 1" in " ".join(shown.split())
