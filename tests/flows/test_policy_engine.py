"""The engine decides once about everything, puts off, asks people, survives, and writes down why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric_core import DatasetRegistered, DriftDetected, ModelPromoted, PolicyRequested
from eucentric_flows.engine import Answers, Journal, Switch, Switches
from eucentric_flows.policy import (
    Answer,
    Cause,
    Circumstances,
    FlowOrder,
    NotifyOrder,
    PastRun,
    Policy,
    QuietHours,
    Recorded,
    RetrainRequest,
    backtest,
    may_run,
)
from eucentric_flows.policy.guards import quiet_until

from .conftest import drift_event, drift_policy
from .policy_hub import NOON, PolicyHub, open_hub

BERLIN_NIGHT = {"begin": "22:00", "end": "06:00", "time_zone": "Europe/Berlin"}


def drift(hub: PolicyHub, name: str, **changes: object) -> DriftDetected:
    return drift_event(**{"id": name, "occurred_utc": hub.now, **changes})


def data_set(hub: PolicyHub, name: str) -> DatasetRegistered:
    return DatasetRegistered(
        id=name, source="r", dataset_id="m.s", frames=40, missing=0, material="mos2", occurred_utc=hub.now
    )


def quiet_policy(**guards: object) -> Policy:
    return drift_policy(guards={"quiet_hours": BERLIN_NIGHT, **guards})


def test_an_event_is_decided_about_once_however_often_it_comes(tmp_path: Path) -> None:
    with open_hub(tmp_path, drift_policy()) as hub:
        event = drift(hub, "e1")
        hub.happen(event, event)
        hub.restart()
        hub.happen(event)
        assert hub.said() == [("fired", "drift score 4 is at least 1.5")]
        assert hub.taken == ["e1"]


def test_an_order_waits_while_nobody_takes_it_and_is_given_once(tmp_path: Path) -> None:
    with open_hub(tmp_path, drift_policy()) as hub:
        hub.down = True
        hub.happen(drift(hub, "e1"))
        hub.wait(30)
        assert hub.taken == []
        # What is ordered counts as in flight although no run has begun.
        hub.happen(drift(hub, "e2"))
        hub.restart()
        hub.down = False
        hub.wait(5)
        hub.wait(5)
        assert hub.taken == ["e1"]
        assert hub.said() == [
            ("fired", "drift score 4 is at least 1.5"),
            ("held", "run e1 of model atoms is in flight"),
        ]


def test_quiet_hours_put_off_and_then_everything_is_asked_again(tmp_path: Path) -> None:
    with open_hub(tmp_path, quiet_policy()) as hub:
        hub.wait(9.5 * 3600)  # 21:30 UTC, 22:30 in Berlin
        hub.happen(drift(hub, "e1"))
        hub.wait(600)
        hub.happen(drift(hub, "e2"))
        assert hub.said() == [
            ("deferred", "quiet hours until 06:00 (Europe/Berlin)"),
            ("held", "e1 fired before and waits: quiet hours until 06:00 (Europe/Berlin)"),
        ]
        hub.restart()
        hub.wait(7.2 * 3600)
        assert hub.taken == []
        hub.wait(0.2 * 3600)
        assert hub.taken == ["e1"]
        steps = next(each for each in hub.decisions() if each.occurrence == "e1").steps
        assert [step.status for step in steps] == ["deferred", "fired"]


def test_a_person_approves_and_the_history_says_who(tmp_path: Path) -> None:
    with open_hub(tmp_path, drift_policy(guards={"approval": {"within_s": 3600}})) as hub:
        hub.happen(drift(hub, "e1"))
        assert hub.said() == [("awaiting", "a person has to approve within 1 h")]
        Answers(hub.store).give("on-drift", "e1", Answer(approved=True, by="anna"))
        hub.settle()
        assert hub.said() == [("fired", "drift score 4 is at least 1.5, approved by anna")]
        assert hub.taken == ["e1"]


@pytest.mark.parametrize(
    ("approved", "wait_s", "said"),
    [(False, 0, ("rejected", "rejected by anna")), (None, 3601, ("expired", "nobody approved in time"))],
)
def test_without_a_yes_nothing_is_done(
    tmp_path: Path, approved: bool | None, wait_s: float, said: tuple[str, str]
) -> None:
    with open_hub(tmp_path, drift_policy(guards={"approval": {"within_s": 3600}})) as hub:
        hub.happen(drift(hub, "e1"))
        if approved is not None:
            Answers(hub.store).give("on-drift", "e1", Answer(approved=approved, by="anna"))
        hub.wait(wait_s)
        assert hub.said() == [said]
        assert hub.taken == []
        # Too late is too late.
        Answers(hub.store).give("on-drift", "e1", Answer(approved=True, by="ben"))
        hub.wait(10)
        assert hub.said() == [said]


def test_switches_hold_over_the_file_and_the_pause_over_all(tmp_path: Path) -> None:
    with open_hub(tmp_path, drift_policy(enabled=False, guards={"cooldown_s": 0})) as hub:
        switches = Switches(hub.store)
        hub.happen(drift(hub, "e1"))
        switches.turn("on-drift", Switch(turned_on=True, person="anna", reason="", at_utc=NOON))
        switches.pause_all("ben", "service at the column", NOON)
        hub.happen(drift(hub, "e2"))
        switches.resume_all("ben", NOON)
        hub.happen(drift(hub, "e3"))
        assert hub.said() == [
            ("held", "policy on-drift is disabled in its file"),
            ("held", "all policies were paused by ben at 2026-11-20 12:00:00 UTC: service at the column"),
            ("fired", "drift score 4 is at least 1.5"),
        ]


def test_two_policies_on_one_event_get_runs_of_their_own(tmp_path: Path) -> None:
    notify = drift_policy(name="tell", action={"kind": "notify", "blocks": ["slack-webhook/lab"]})
    with open_hub(tmp_path, drift_policy(), notify) as hub:
        hub.happen(drift(hub, "e1"))
        assert hub.taken == ["e1", "e1.tell"]
        # A message is no run, but has its pause.
        hub.happen(drift(hub, "e2"))
        assert hub.said()[-1] == ("held", "cooldown of 600 s, 600 s of it left")


def test_conditions_look_at_event_champion_and_last_run(tmp_path: Path) -> None:
    conditions = [
        {"kind": "event", "field": "quality_score", "at_most": 0.5},
        {"kind": "champion", "min_age_s": 3600},
    ]
    with open_hub(tmp_path, drift_policy(conditions=conditions)) as hub:
        hub.happen(
            ModelPromoted(source="hub", model_name="atoms", model_version=3, reason="r", occurred_utc=hub.now)
        )
        hub.wait(60)
        hub.happen(drift(hub, "e1", quality_score=0.7), drift(hub, "e2"))
        hub.wait(3600)
        hub.happen(drift(hub, "e3"))
        assert [reason for _, reason in hub.said()] == [
            "quality_score 0.7 is above 0.5",
            "champion v3 is 60 s old, not 1 h",
            "drift score 4 is at least 1.5",
        ]


def test_a_run_that_ends_triggers_the_next_policy(tmp_path: Path) -> None:
    after = drift_policy(
        name="after", trigger={"kind": "flow", "flow": "retrain", "outcomes": ["promoted"]},
        action={"kind": "evaluate"},
    )  # fmt: skip
    with open_hub(tmp_path, drift_policy(), after) as hub:
        hub.happen(drift(hub, "e1"))
        hub.wait(2)
        hub.end_run("e1")
        hub.wait(2)
        hub.wait(2)
        assert hub.taken[0] == "e1"
        fired = hub.decisions("fired")[-1]
        assert (fired.policy, fired.reason) == ("after", "run e1 of flow retrain ended as promoted")
        assert fired.trigger_id in hub.taken


def test_a_schedule_learns_from_the_newest_data_set(tmp_path: Path) -> None:
    nightly = drift_policy(name="nightly", trigger={"kind": "schedule", "cron": "0 2 * * *"})
    with open_hub(tmp_path, nightly) as hub:
        hub.settle()
        hub.wait(14 * 3600)
        assert hub.said() == [("held", "there is no data set to learn from yet")]
        hub.happen(data_set(hub, "d1"))
        hub.wait(24 * 3600)
        request = RetrainRequest.model_validate(hub.record.run("nightly.20261122T020000Z").request)
        assert request.dataset_wanted == "m.s"


def test_fired_by_hand_for_a_session(tmp_path: Path) -> None:
    with open_hub(tmp_path, drift_policy(trigger={"kind": "manual"})) as hub:
        hub.happen(
            PolicyRequested(
                id="p1",
                source="hub",
                policy="on-drift",
                requested_by="anna",
                session="s7",
                occurred_utc=hub.now,
            )
        )
        request = RetrainRequest.model_validate(hub.record.run("p1").request)
        assert request.session_wanted == "s7"


def test_a_budget_in_node_hours_is_never_exceeded(tmp_path: Path) -> None:
    policy = drift_policy(
        guards={"cooldown_s": 0, "max_node_hours_per_day": 5},
        action={"kind": "retrain", "nodes": 2, "train_timeout_s": 3600},
    )
    with open_hub(tmp_path, policy) as hub:
        hub.happen(drift(hub, "e1"))
        hub.end_run("e1", busy_s=3600)
        hub.happen(drift(hub, "e2"))
        hub.end_run("e2", busy_s=1800)
        hub.happen(drift(hub, "e3"))
        assert (
            hub.said()[-1]
            == (
                "held",
                "budget of 5 node-hours a day: 3.00 are used, and a run may take up to 2.00",
            )
            or hub.said()[-1][0] == "fired"
        )
        hub.happen(drift(hub, "e4"))
        assert hub.said()[-1][0] == "held"


def test_what_was_fired_meets_its_guards_again_when_the_run_begins() -> None:
    busy = PastRun(
        trigger_id="x",
        policy=None,
        model="atoms",
        admitted=True,
        started_utc=NOON,
        ended_utc=None,
        alive=True,
    )
    assert may_run(drift_policy(), Circumstances(now=NOON)).fire
    assert not may_run(drift_policy(), Circumstances(now=NOON, history=[busy])).fire


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T20:59", None),
        ("2026-11-20T21:00", "2026-11-21T05:00"),
        ("2026-11-21T04:59", "2026-11-21T05:00"),
        ("2026-11-21T05:00", None),
        # The night in which the clock is put back is an hour longer.
        ("2026-10-24T20:00", "2026-10-25T05:00"),
    ],
)
def test_quiet_hours_are_those_of_the_place(now: str, until: str | None) -> None:
    hours = QuietHours.model_validate(BERLIN_NIGHT)
    found = quiet_until(hours, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (found and f"{found:%Y-%m-%dT%H:%M}") == until


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(0, 3), max_size=30),
    pauses_s=st.lists(st.floats(1, 2000), min_size=30, max_size=30),
    cooldown_s=st.sampled_from([0.0, 300.0]),
    quiet=st.booleans(),
)
def test_a_back_test_promises_what_the_guards_promise(
    scores: list[float], pauses_s: list[float], cooldown_s: float, quiet: bool
) -> None:
    guards: dict[str, object] = {"cooldown_s": cooldown_s, "max_runs_per_day": 5}
    policy = quiet_policy(**guards) if quiet else drift_policy(guards=guards)
    now, recorded = NOON + timedelta(hours=6), []
    for number, (score, pause_s) in enumerate(zip(scores, pauses_s, strict=False)):
        now += timedelta(seconds=pause_s)
        recorded.append(Recorded(now, drift_event(id=f"e{number}", drift_score=score, occurred_utc=now)))
    end = now + timedelta(hours=12)
    outcome = backtest(policy, [*recorded, *recorded[:3]], begin=NOON, end=end, run_s=120)
    fired = [decision for decision in outcome.decisions if decision.status == "fired"]
    assert len(fired) <= 5
    assert len({decision.occurrence for decision in fired}) == len(fired)
    for before, after in pairwise(fired):
        assert (after.at_utc - before.at_utc).total_seconds() >= 120 + cooldown_s - 1e-3
    if quiet:
        hours = QuietHours.model_validate(BERLIN_NIGHT)
        assert all(quiet_until(hours, decision.at_utc) is None for decision in fired)


def test_a_back_test_says_what_the_engine_did(tmp_path: Path) -> None:
    policy = drift_policy(guards={"cooldown_s": 60, "quiet_hours": BERLIN_NIGHT})
    with open_hub(tmp_path, policy) as hub:
        for tick in range(300):
            hub.now += timedelta(seconds=300)
            for run in hub.record.unended():
                hub.end_run(run.trigger_id)
            hub.settle()
            if tick % 6 == 0:
                hub.happen(drift(hub, f"e{tick}", drift_score=4.0 if tick % 18 else 1.0))
        end = hub.now
        outcome = backtest(policy, Journal(hub.store).between(NOON, end), begin=NOON, end=end, run_s=300)
        done = {(decision.occurrence, decision.status) for decision in hub.decisions("fired")}
        would = {(each.occurrence, each.status) for each in outcome.decisions if each.status == "fired"}
        assert would == done
        assert len(done) > 5


def test_orders_say_what_flows_take() -> None:
    policy = drift_policy(action={"kind": "roll_back", "parameters": {"version": 3}})
    order = policy.action.order(Cause("t", "on-drift", "atoms", "because"))
    assert order == FlowOrder(
        flow="rollback",
        request={"model": "atoms", "version": 3, "trigger_id": "t", "policy": "on-drift", "event": None},
    )
    told = drift_policy(action={"kind": "notify", "blocks": ["slack-webhook/lab"]}).action.order(
        Cause("t", "on-drift", "atoms", "because")
    )
    assert isinstance(told, NotifyOrder)
    assert told.body.startswith("because")
