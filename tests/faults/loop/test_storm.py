"""A storm of events at a real Prefect server: guards hold, and every event has its reason in the books.

The flow that the policy runs is real, too; its events come over a real data channel, twice and out of date.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import pytest

from eucentric_core import ModelEvaluated, utc_now
from eucentric_flows.engine import DecisionView, History, PolicyStore, policies_file

from ...loop_site import LoopSite
from ...prefect_api import ask_prefect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

POLICY = """
schema_version = 2
name = "storm"
model = "atoms"
[trigger]
kind = "metric"
metric = "iou"
min_drop = 0.05
[guards]
cooldown_s = 3600
max_runs_per_day = 2
max_event_age_s = 3600
[action]
kind = "evaluate"
[action.parameters]
session = "drifted"
frames = 16
"""
EVENTS = 1000


def test_a_thousand_events_a_minute_make_one_run(site: LoopSite) -> None:
    path = site.settings.policies_path / "storm.toml"
    path.write_text(POLICY)
    site.wait_heard()
    try:
        wait_for_policy(site)
        events = [evaluated(number) for number in range(EVENTS)]
        for number, event in enumerate(events):
            site.publish(event)
            if number % 10 == 0:
                site.publish(event)
        decisions = decided(site, {event.id for event in events})
    finally:
        path.unlink()
    assert {one.occurrence for one in decisions} == {event.id for event in events}
    counted = Counter(one.status for one in decisions)
    # Every other event finds no drop, and every seventh is older than the policy takes.
    assert counted == {"fired": 1, "held": EVENTS // 2 - 1, "not_met": EVENTS // 2}
    (fired,) = [one.occurrence for one in decisions if one.status == "fired"]
    assert fired not in {event.id for event in events[::7]}
    assert any("ago, more than" in one.reason for one in decisions)
    assert all(one.reason for one in decisions)
    assert len(flow_runs(site)) == 1


def wait_for_policy(site: LoopSite) -> None:
    """Have events that find no drop arrive until the policy answers one: it is read anew every second."""
    deadline = time.monotonic() + 600
    with PolicyStore(policies_file(site.settings)) as store:
        while not History(store).newest(policy="storm"):
            assert time.monotonic() < deadline, "the policy was not read"
            site.publish(evaluated(2))
            time.sleep(0.5)


def evaluated(number: int) -> ModelEvaluated:
    """A metric that flaps; every seventh event is two hours late."""
    age = timedelta(hours=2 if number % 7 == 0 else 0)
    return ModelEvaluated(
        source="edge-1", model_name="atoms", model_version=1, metric="iou", reference=0.9,
        value=0.5 if number % 2 else 0.9, occurred_utc=utc_now() - age,
    )  # fmt: skip


def decided(site: LoopSite, occurrences: set[str]) -> list[DecisionView]:
    """The policy's decisions about these events, once there is one about each."""
    deadline = time.monotonic() + 600
    with PolicyStore(policies_file(site.settings)) as store:
        while True:
            newest = History(store).newest(policy="storm", limit=10 * EVENTS)
            found = [one for one in newest if one.occurrence in occurrences]
            if len(found) >= len(occurrences):
                return found
            assert time.monotonic() < deadline, f"{len(found)} decisions"
            time.sleep(0.2)


def flow_runs(site: LoopSite) -> list[str]:
    """Flow runs that Prefect made for the policy."""
    asked = {"flow_runs": {"tags": {"all_": ["policy storm"]}}}
    found = ask_prefect("POST", f"{site.settings.hub.prefect_api_url}/flow_runs/filter", asked)
    return [one["id"] for one in found]
