"""Each kind of trigger, asked event by event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from eucentric_core import (
    AnyEvent,
    DatasetRegistered,
    DriftRecovered,
    ModelEvaluated,
    ModelInstalled,
    PolicyRequested,
    RunEnded,
    ShardRegistered,
)
from eucentric_flows.policy import AnyTrigger
from eucentric_flows.policy._memory import Memory
from eucentric_flows.policy._moment import Met, Moment, NotMet

from .conftest import drift_event

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRIGGERS: TypeAdapter[AnyTrigger] = TypeAdapter(AnyTrigger)


class Asked:
    """A trigger and what it remembers; times are seconds after noon."""

    def __init__(self, **declared: object) -> None:
        self.trigger = TRIGGERS.validate_python(declared)
        self.memory = Memory()

    def __call__(self, at_s: float, event: AnyEvent | None = None) -> str | None:
        """`met ...`, why not, or None if the moment does not concern the trigger."""
        now = NOON + timedelta(seconds=at_s)
        memory, outcome = self.trigger.advance(self.memory, Moment(now, "p", "atoms", event))
        # It has to survive a restart.
        self.memory = Memory.model_validate_json(memory.model_dump_json())
        match outcome:
            case Met(reason, occurrence):
                assert event is None or occurrence
                return f"met by {occurrence}: {reason}"
            case NotMet(reason):
                return reason
            case _:
                return None


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def drift(at_s: float, score: float = 2.0, **changes: object) -> AnyEvent:
    return drift_event(id=f"d{at_s:g}", drift_score=score, occurred_utc=at(at_s), **changes)


def shard(at_s: float, frames: int, size_bytes: int | None = None, **changes: object) -> AnyEvent:
    facts: dict[str, object] = {
        "id": f"s{at_s:g}", "source": "r", "dataset_id": "m.s", "idempotency_key": "k", "frames": frames,
        "size_bytes": size_bytes, "material": "mos2", "occurred_utc": at(at_s),
    }  # fmt: skip
    return ShardRegistered.model_validate({**facts, **changes})


def figure(at_s: float, value: float, *, version: int = 1, reference: float | None = None) -> AnyEvent:
    return ModelEvaluated(
        id=f"m{at_s:g}", source="hub", model_name="atoms", model_version=version, metric="f1", value=value,
        reference=reference, occurred_utc=at(at_s),
    )  # fmt: skip


def test_drift_has_to_last() -> None:
    asked = Asked(kind="drift", min_score=1.5, for_s=60)
    assert asked(0, drift(0)) == "drift score 2 has not lasted 1 min yet"
    assert asked(59) is None
    assert asked.trigger.due_utc(asked.memory) == at(60)
    assert asked(60) == "met by d0: drift of score 1.5 or more has lasted 1 min"
    assert asked(200) is None


@pytest.mark.parametrize(
    "end",
    [
        drift(30, 1.0),
        DriftRecovered(
            source="edge-1", instrument="microscope-1", session="s1", sequence=9, model_name="atoms",
            model_version=1, material="mos2", occurred_utc=at(30),
        ),
        ModelInstalled(
            source="edge-1", model_name="atoms", model_version=2, previous_version=1, swap_s=0.1,
            occurred_utc=at(30),
        ),
    ],
    ids=lambda event: event.kind,
)  # fmt: skip
def test_drift_that_is_over_does_not_last(end: AnyEvent) -> None:
    asked = Asked(kind="drift", min_score=1.5, for_s=60)
    asked(0, drift(0))
    assert asked(30, end) in ("drift score 1 is below 1.5", "drift was over before it had lasted 1 min")
    assert asked(100) is None


def test_only_data_of_the_asked_origin_count() -> None:
    asked = Asked(kind="dataset", sample="s3", instrument="microscope-1")
    facts: dict[str, object] = {"source": "r", "dataset_id": "m.s", "frames": 9, "missing": 0}
    told = [
        asked(0, DatasetRegistered.model_validate({**facts, **origin}))
        for origin in ({}, {"sample": "s3"}, {"sample": "s3", "instrument": "microscope-2"})
    ]
    assert told == [None, None, None]
    right = DatasetRegistered.model_validate(
        {**facts, "id": "x", "sample": "s3", "instrument": "microscope-1"}
    )
    assert asked(0, right) == "met by x: data set m.s has 9 frames"


def test_frames_are_counted_within_a_time_and_late_ones_count_where_they_belong() -> None:
    asked = Asked(kind="frames", material="mos2", count=100, within_s=600)
    assert asked(0, shard(0, 40)) == "40 frames of 100 frames within 10 min"
    assert asked(700, shard(700, 40)) == "40 frames of 100 frames within 10 min"
    # Registered 50 s after noon, arrived much later: too old to count beside what came at 700 s.
    assert asked(750, shard(50, 90)) == "40 frames of 100 frames within 10 min"
    assert asked(760, shard(400, 30)) == "70 frames of 100 frames within 10 min"
    assert asked(800, shard(800, 30)) == "met by s800: 100 frames within 10 min"
    assert asked(801, shard(801, 30)) == "30 frames of 100 frames within 10 min"


def test_bytes_are_counted_too() -> None:
    asked = Asked(kind="frames", size_bytes=2_000_000)
    assert asked(0, shard(0, 1)) == "the shard does not state its size in bytes"
    assert asked(1, shard(1, 1, 1_500_000)) == "1.5 MB of 2 MB within 1 d"
    assert asked(2, shard(2, 1, 500_000)) == "met by s2: 2 MB within 1 d"


@given(st.lists(st.tuples(st.floats(0, 5000), st.integers(1, 60)), max_size=40), st.integers(1, 200))
def test_a_count_is_met_only_by_so_many_frames_that_lie_together(
    shards: list[tuple[float, int]], wanted: int
) -> None:
    asked = Asked(kind="frames", count=wanted, within_s=600)
    counted = 0
    for number, (at_s, frames) in enumerate(shards):
        counted += frames
        told = asked(5000, shard(at_s, frames, id=f"s{number}"))
        assert told is not None
        if told.startswith("met"):
            assert counted >= wanted
            counted = 0


def test_a_metric_is_compared_with_the_champions() -> None:
    asked = Asked(kind="metric", metric="f1", min_drop=0.1, evaluations=2)
    assert asked(0, figure(0, 0.9)) == "f1 0.9 is the first of version 1"
    assert asked(1, figure(1, 0.7)) == "f1 0.7 against 0.9: 1 of 2 evaluations in a row"
    assert asked(2, figure(2, 0.85)) == "f1 0.85 against 0.9: not worse by 0.1"
    assert asked(3, figure(3, 0.7)) == "f1 0.7 against 0.9: 1 of 2 evaluations in a row"
    assert asked(4, figure(4, 0.6)) == "met by m4: f1 0.6 against 0.9: worse by 0.3"
    assert (
        asked(5, figure(5, 0.8, version=2, reference=0.95))
        == "f1 0.8 against 0.95: 1 of 2 evaluations in a row"
    )
    assert asked(6, figure(4, 0.1)) == "the evaluation is of version 1, since replaced"


def test_a_schedule_keeps_the_clock_of_its_zone_through_summer_time() -> None:
    asked = Asked(kind="schedule", cron="30 2 * * *", time_zone="Europe/Berlin", catch_up_s=3600)
    march = (datetime(2026, 3, 28, 0, tzinfo=UTC) - NOON).total_seconds()
    assert asked(march) is None
    due = []
    for _ in range(4):
        next_utc = asked.trigger.due_utc(asked.memory)
        assert next_utc is not None
        due.append(f"{next_utc:%d %H:%M}")
        told = asked((next_utc - NOON).total_seconds())
        assert told is not None
        assert told.startswith(f"met by p.{next_utc:%Y%m%dT%H%M}00Z: it is due (at 02:30 every day")
    # 02:30 does not exist on the 29th: the clock goes from 02:00 to 03:00.
    assert due == ["28 01:30", "29 01:00", "30 00:30", "31 00:30"]


def test_a_scheduled_time_that_was_missed_counts_once_and_only_for_a_while() -> None:
    asked = Asked(kind="schedule", cron="0 * * * *", catch_up_s=3600)
    asked(1)
    told = asked(5 * 3600 + 600)
    assert told is not None
    assert told.startswith("met by p.20261120T170000Z")
    assert asked(5 * 3600 + 601) is None
    slow = Asked(kind="schedule", cron="0 0 * * *", catch_up_s=60)
    slow(1)
    assert slow(20 * 3600) is None


def test_a_person_asks_for_one_policy() -> None:
    asked = Asked(kind="manual")
    assert asked(0, PolicyRequested(source="hub", policy="q", requested_by="anna")) is None
    told = asked(0, PolicyRequested(id="x", source="hub", policy="p", requested_by="anna"))
    assert told == "met by x: anna asked for it"


def test_another_flows_result_counts_but_never_the_policys_own() -> None:
    asked = Asked(kind="flow", flow="evaluate", outcomes=["done"])

    def ended(**changes: object) -> AnyEvent:
        facts: dict[str, object] = {
            "id": "x", "source": "hub", "flow": "evaluate", "trigger_id": "t", "model_name": "atoms",
            "outcome": "done",
        }  # fmt: skip
        return RunEnded.model_validate({**facts, **changes})

    assert asked(0, ended(flow="retrain")) is None
    assert asked(0, ended(policy="p")) is None
    assert asked(0, ended(model_name="other")) is None
    assert asked(0, ended(outcome="failed")) == "run t of flow evaluate ended as failed, not as done"
    assert asked(0, ended()) == "met by x: run t of flow evaluate ended as done"


def test_all_have_to_come_within_the_time() -> None:
    both = [{"kind": "drift", "min_score": 1.5}, {"kind": "metric", "metric": "f1", "min_drop": 0.1}]
    asked = Asked(kind="all", within_s=100, of=both)
    assert asked(0, drift(0)) == "1 of 2 triggers, drift score 2 is at least 1.5"
    assert asked(150, figure(150, 0.5, reference=0.9)) == "1 of 2 triggers, f1 0.5 against 0.9: worse by 0.4"
    assert asked(200, drift(200)) == (
        "met by d200: all 2 triggers within 100 s, last: drift score 2 is at least 1.5"
    )
    assert asked(201, figure(201, 0.5, reference=0.9)) == "1 of 2 triggers, f1 0.5 against 0.9: worse by 0.4"


def test_any_is_met_by_one() -> None:
    asked = Asked(kind="any", of=[{"kind": "drift", "for_s": 60}, {"kind": "manual"}])
    assert asked(0, drift(0)) == "drift score 2 has not lasted 1 min yet"
    assert asked.trigger.due_utc(asked.memory) == at(60)
    told = asked(1, PolicyRequested(id="x", source="hub", policy="p", requested_by="anna"))
    assert told == "met by x: anna asked for it"
    assert asked(60) == "met by d0: drift of score 1 or more has lasted 1 min"
