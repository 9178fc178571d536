"""A thousand events a minute, a metric that flaps, events twice and late: the guards hold."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eucentric_core import DriftDetected, ModelEvaluated
from eucentric_flows.policy import Policy

from .conftest import drift_event
from .policy_hub import NOON, PolicyHub, open_hub

COOLDOWN_S = 300.0
RUNS_A_DAY = 2
OLDEST_S = 7200.0
A_MINUTE_OF_1000_S = 0.06


def policy(name: str, trigger: dict[str, object]) -> Policy:
    guards = {"cooldown_s": COOLDOWN_S, "max_runs_per_day": RUNS_A_DAY, "max_event_age_s": OLDEST_S}
    return Policy.model_validate({"name": name, "model": "atoms", "trigger": trigger, "guards": guards})


POLICIES = (
    policy("on-drift", {"kind": "drift", "min_score": 1.5}),
    policy("on-metric", {"kind": "metric", "metric": "f1", "min_drop": 0.05, "evaluations": 2}),
)


class PolicyStorm(RuleBasedStateMachine):
    """Whatever happens in whatever order, the record of runs keeps what the policies promise."""

    hub: PolicyHub

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.hub = PolicyHub(Path(self._folder.name), POLICIES)
        self.seen: list[DriftDetected | ModelEvaluated] = []
        self.evaluated = 0

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            self.hub.close()
            self._folder.cleanup()

    @rule(
        scores=st.lists(st.floats(0, 3), min_size=1, max_size=12),
        late_s=st.sampled_from([0.0, 0.0, 40.0, 3000.0, 9000.0]),
    )
    def flapping_drift(self, scores: list[float], late_s: float) -> None:
        self.drift(scores, late_s)

    def drift(self, scores: list[float], late_s: float) -> None:
        for score in scores:
            self.hub.now += timedelta(seconds=A_MINUTE_OF_1000_S)
            occurred = self.hub.now - timedelta(seconds=late_s)
            event = drift_event(drift_score=score, occurred_utc=occurred)
            self.seen.append(event)
            self.hub.outbox.add(event)
        self.hub.settle()

    @rule(figures=st.lists(st.sampled_from([0.9, 0.8, 0.5]), min_size=1, max_size=12))
    def flapping_metric(self, figures: list[float]) -> None:
        self.evaluate(figures)

    @rule()
    def both_see_a_reason(self) -> None:
        self.evaluate([0.5, 0.5])
        self.drift([4.0], 0.0)

    @rule(late_s=st.sampled_from([7100.0, 7300.0, 90_000.0]))
    def after_a_quiet_night_old_news_arrive(self, late_s: float) -> None:
        for run in self.hub.record.unended():
            self.hub.end_run(run.trigger_id)
        self.hub.now += timedelta(hours=25)
        self.drift([4.0], late_s)

    def evaluate(self, figures: list[float]) -> None:
        for figure in figures:
            self.hub.now += timedelta(seconds=A_MINUTE_OF_1000_S)
            event = ModelEvaluated(
                source="hub",
                model_name="atoms",
                model_version=1,
                metric="f1",
                value=figure,
                reference=0.9,
                dataset_id="microscope-1.s1",
                occurred_utc=self.hub.now,
            )
            self.seen.append(event)
            self.hub.outbox.add(event)
        self.hub.settle()

    @rule(data=st.data())
    def the_same_again(self, data: st.DataObject) -> None:
        if self.seen:
            self.hub.happen(*data.draw(st.lists(st.sampled_from(self.seen), max_size=12)))

    @rule(seconds=st.sampled_from([1.0, 20.0, 29.0, 301.0, 4000.0, 40_000.0]))
    def time_passes(self, seconds: float) -> None:
        # What is carried out is heard of; a run that is silent would count as lost, and hold nobody back.
        self.hub.now += timedelta(seconds=seconds)
        for run in self.hub.record.unended():
            self.hub.record.write(
                "UPDATE runs SET heartbeat_utc = ? WHERE trigger_id = ?",
                self.hub.now.isoformat(),
                run.trigger_id,
            )
        self.hub.settle()

    @rule(
        pauses_s=st.lists(st.sampled_from([0.0, 100.0, 299.0, 301.0]), min_size=1, max_size=8),
        late_s=st.sampled_from([0.0, 0.0, 7000.0, 7300.0]),
    )
    def runs_end_and_drift_goes_on(self, pauses_s: list[float], late_s: float) -> None:
        for pause_s in pauses_s:
            for run in self.hub.record.unended():
                self.hub.end_run(run.trigger_id)
            self.hub.now += timedelta(seconds=pause_s)
            self.drift([4.0], late_s)

    @rule()
    def prefect_goes_down_or_comes_back(self) -> None:
        self.hub.down = not self.hub.down

    @rule()
    def the_service_is_killed_and_started(self) -> None:
        self.hub.restart()

    @invariant()
    def one_run_at_a_time(self) -> None:
        if hasattr(self, "hub"):
            assert len([run for run in self.hub.record.history() if run.in_flight]) <= 1

    @invariant()
    def cooldown_and_budget_hold(self) -> None:
        if not hasattr(self, "hub"):
            return
        for name in ("on-drift", "on-metric"):
            runs = sorted(
                (run for run in self.hub.record.history() if run.policy == name),
                key=lambda run: run.started_utc,
            )
            for before, after in pairwise(runs):
                pause_s = (after.started_utc - before.last_active_utc).total_seconds()
                assert pause_s >= COOLDOWN_S - 1e-3
            for first, last in zip(runs, runs[RUNS_A_DAY:], strict=False):
                assert last.started_utc - first.started_utc >= timedelta(days=1) - timedelta(milliseconds=1)

    @invariant()
    def nothing_is_begun_for_what_is_long_past(self) -> None:
        if hasattr(self, "hub"):
            occurred = {event.id: event.occurred_utc for event in self.seen}
            for fired in self.hub.decisions("fired"):
                age_s = (fired.decided_utc - occurred[fired.occurrence]).total_seconds()
                assert age_s <= OLDEST_S

    @invariant()
    def every_event_is_decided_about_once(self) -> None:
        if not hasattr(self, "hub"):
            return
        decided = [(decision.policy, decision.occurrence) for decision in self.hub.decisions()]
        assert len(decided) == len(set(decided))
        assert {occurrence for _, occurrence in decided} == {event.id for event in self.seen}
        fired = [decision.trigger_id for decision in self.hub.decisions("fired")]
        assert len(fired) == len(set(fired))
        assert all(decision.reason for decision in self.hub.decisions())


TestPolicyStorm = PolicyStorm.TestCase
TestPolicyStorm.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_minute_of_a_thousand_events_makes_one_run(tmp_path: Path) -> None:
    with open_hub(tmp_path, *POLICIES) as hub:
        for number in range(1000):
            hub.now = NOON + timedelta(seconds=number * A_MINUTE_OF_1000_S)
            score = 4.0 if number % 2 else 0.5
            hub.outbox.add(drift_event(id=f"e{number}", drift_score=score, occurred_utc=hub.now))
        hub.settle()
        assert len(hub.record.history()) == 1
        counted = {status: len(hub.decisions(status)) for status in ("fired", "held", "not_met")}
        assert counted == {"fired": 1, "held": 499, "not_met": 500}
        reasons = {decision.reason for decision in hub.decisions("held")}
        assert reasons <= {"run e1 of model atoms is in flight"}
