"""A policy is data; the decision is a pure function of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucentric_core import AnyEvent, DatasetRegistered, DriftDetected, ShardRegistered
from eucentric_flows.policy import (
    PastRun,
    Policy,
    PolicyError,
    RetrainAction,
    RetrainRequest,
    decide,
    explain,
    load_policies,
    load_policy,
)

from .conftest import drift_event, drift_policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

POLICY_FILE = """
schema_version = 1
name = "on-drift"
model = "atoms"

[trigger]
kind = "drift"
min_score = 1.5

[guards]
cooldown_s = 900
max_runs_per_day = 4

[action]
members = 3
steps = 110
frames = 32

[action.gates]
max_f1_loss_on_start = 0.05
"""


def past_run(**changes: object) -> PastRun:
    facts: dict[str, object] = {
        "trigger_id": "earlier",
        "policy": "on-drift",
        "model": "atoms",
        "admitted": True,
        "started_utc": NOW - timedelta(hours=2),
        "ended_utc": NOW - timedelta(hours=1),
        "alive": True,
    }
    return PastRun.model_validate({**facts, **changes})


def drifting(**changes: object) -> DriftDetected:
    return drift_event(**{"occurred_utc": NOW, **changes})


def data_set(**changes: object) -> DatasetRegistered:
    facts: dict[str, object] = {"source": "repository-1", "dataset_id": "m.s", "frames": 40, "missing": 0}
    return DatasetRegistered.model_validate({**facts, "material": "mos2", "occurred_utc": NOW, **changes})


def shard(**changes: object) -> ShardRegistered:
    facts: dict[str, object] = {
        "source": "repository-1",
        "dataset_id": "m.s",
        "idempotency_key": "k",
        "frames": 16,
    }
    return ShardRegistered.model_validate({**facts, "material": "mos2", "occurred_utc": NOW, **changes})


ON_DATASET = Policy.model_validate(
    {
        "name": "on-data",
        "model": "atoms",
        "trigger": {"kind": "dataset", "material": "mos2", "min_frames": 32},
    }
)
ON_FRAMES = Policy.model_validate(
    {"name": "on-frames", "model": "atoms", "trigger": {"kind": "frames", "material": "mos2", "count": 100}}
)
JUST_STARTED = past_run(started_utc=NOW - timedelta(seconds=40), ended_utc=None)


@pytest.mark.parametrize(
    ("policy", "event", "history", "reason"),
    [
        (drift_policy(), drifting(), [], "policy on-drift fires on drift.detected from edge-1"),
        (ON_DATASET, data_set(), [], "policy on-data fires on dataset.registered from repository-1"),
        (ON_FRAMES, shard(frames=100), [], "policy on-frames fires on shard.registered from repository-1"),
        (drift_policy(), drifting(), [past_run()], "policy on-drift fires on drift.detected from edge-1"),
    ],
)
def test_it_fires(policy: Policy, event: AnyEvent, history: list[PastRun], reason: str) -> None:
    decision = decide(policy, event, history, NOW)
    assert (decision.fire, decision.reason) == (True, reason)


@pytest.mark.parametrize(
    ("policy", "event", "history", "reason"),
    [
        (drift_policy(enabled=False), drifting(), [], "policy on-drift is disabled"),
        (drift_policy(), drifting(drift_score=1.4), [], "drift score 1.4 is below 1.5"),
        (
            drift_policy(),
            drifting(model_name="other"),
            [],
            "the drift.detected event does not concern policy on-drift",
        ),
        (drift_policy(), data_set(), [], "the dataset.registered event does not concern policy on-drift"),
        (ON_DATASET, data_set(frames=31), [], "data set m.s has 31 of 32 frames"),
        (
            ON_DATASET,
            data_set(material="graphene"),
            [],
            "the dataset.registered event does not concern policy on-data",
        ),
        (ON_FRAMES, shard(), [], "16 frames of 100 frames within 1 d"),
        (drift_policy(), drifting(), [JUST_STARTED], "run earlier of model atoms is in flight"),
        (
            drift_policy(),
            drifting(),
            [past_run(ended_utc=NOW - timedelta(seconds=100))],
            "cooldown of 600 s, 500 s of it left",
        ),
        (
            drift_policy(guards={"max_runs_per_day": 2}),
            drifting(),
            [past_run(), past_run(trigger_id="another")],
            "budget of 2 run(s) a day is used up",
        ),
    ],
)
def test_it_holds(policy: Policy, event: AnyEvent, history: list[PastRun], reason: str) -> None:
    decision = decide(policy, event, history, NOW)
    assert (decision.fire, decision.reason) == (False, reason)


def test_a_lost_run_holds_nobody_back_for_ever() -> None:
    lost = past_run(ended_utc=None, alive=False)
    assert decide(drift_policy(), drifting(), [lost], NOW).fire


def test_another_policy_waits_for_the_model_but_has_a_cooldown_of_its_own() -> None:
    other = drift_policy(name="other")
    assert not decide(other, drifting(), [JUST_STARTED], NOW).fire
    ended = past_run(ended_utc=NOW - timedelta(seconds=1))
    assert decide(other, drifting(), [ended], NOW).fire


# On a busy machine input may be slow to come, which says nothing of the policy.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    waits_s=st.lists(st.floats(1, 5000), min_size=1, max_size=60),
    run_s=st.floats(0, 4000),
    cooldown_s=st.floats(0, 3000),
    budget=st.integers(1, 6),
)
def test_guards_are_never_passed(waits_s: list[float], run_s: float, cooldown_s: float, budget: int) -> None:
    policy = drift_policy(guards={"cooldown_s": cooldown_s, "max_runs_per_day": budget})
    spans: list[tuple[datetime, datetime]] = []
    now = NOW
    for wait_s in waits_s:
        now += timedelta(seconds=wait_s)
        history = [past_run(started_utc=start, ended_utc=end if end <= now else None) for start, end in spans]
        if decide(policy, drifting(occurred_utc=now), history, now).fire:
            spans.append((now, now + timedelta(seconds=run_s)))
    for (_, ended), (started, _) in pairwise(spans):
        assert started >= ended, "two runs at a time"
        assert (started - ended).total_seconds() >= cooldown_s - 1e-3
    for first, last in zip(spans, spans[budget:], strict=False):
        assert last[0] - first[0] >= timedelta(days=1) - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("policy", "beginning", "end"),
    [
        (
            drift_policy(),
            "When the edge reports drift of model atoms of score 1.5 or more, model atoms is retrained by "
            "ELIT (3 members, 110 steps each) on 32 new frames (waiting for them at most 2 min) "
            "and 20 replayed ones; ",
            "never two runs of a model at a time, at most 12 a day, 10 min between them.",
        ),
        (
            ON_DATASET,
            "When a data set of mos2 with at least 32 frame(s) is registered, model atoms is retrained",
            "10 min between them.",
        ),
        (
            ON_FRAMES,
            "When 100 frames of mos2 have been registered within 1 d, model atoms",
            "10 min between them.",
        ),
        (drift_policy(enabled=False), "DISABLED: When the edge reports drift", "between them."),
    ],
)
def test_a_policy_explains_itself(policy: Policy, beginning: str, end: str) -> None:
    sentence = explain(policy)
    assert sentence.startswith(beginning)
    assert sentence.endswith(end)


def test_a_policy_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "on-drift.toml"
    path.write_text(POLICY_FILE)
    policy = load_policy(path)
    assert policy.guards.cooldown_s == 900
    assert isinstance(policy.action, RetrainAction)
    assert policy.action.gates.max_f1_loss_on_start == 0.05
    assert load_policies(tmp_path) == (policy,)


def test_two_policies_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(POLICY_FILE)
    with pytest.raises(PolicyError, match=r"a\.toml and b\.toml both define 'on-drift'"):
        load_policies(tmp_path)


def test_a_request_takes_its_frames_from_the_event() -> None:
    request = RetrainRequest(trigger_id="t", policy="on-drift", model="atoms", event=drifting())
    assert (request.session_wanted, request.sequence_wanted) == ("s1", 4)
    with pytest.raises(ValueError, match="give a session"):
        RetrainRequest(trigger_id="t", model="atoms")
