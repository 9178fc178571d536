"""How far a test data set has come, and when the next one is due."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_agents.flight_check import (
    STAGES,
    FlightCheckSchedule,
    Journey,
    check_frames,
    next_start,
    stage_reached,
)


@pytest.mark.parametrize(
    ("journey", "reached"),
    [
        (Journey(), "publish"),
        (Journey(known=True), "record"),
        (Journey(known=True, states=("pending",)), "record"),
        (Journey(known=True, closed=True), "seal"),
        (Journey(known=True, closed=True, states=("pending", "done")), "seal"),
        (Journey(known=True, closed=True, states=("stuck", "done")), "seal"),
        (Journey(known=True, closed=True, states=("delivered", "done")), "ship"),
        (Journey(known=True, closed=True, states=("confirmed", "done")), "register"),
        (Journey(known=True, closed=True, states=("done", "done")), "free"),
    ],
)
def test_the_slowest_part_of_a_data_set_says_how_far_it_is(journey: Journey, reached: str) -> None:
    assert stage_reached(journey) == reached


@given(st.lists(st.sampled_from(["pending", "delivered", "confirmed", "done", "stuck"]), min_size=1))
def test_progress_of_one_entry_never_sets_the_whole_back(states: list[str]) -> None:
    order = ["stuck", "pending", "delivered", "confirmed", "done"]
    before = stage_reached(Journey(known=True, closed=True, states=tuple(states)))
    least = min(range(len(states)), key=lambda position: order.index(states[position]))
    ahead = list(states)
    ahead[least] = order[min(order.index(states[least]) + 1, len(order) - 1)]
    after = stage_reached(Journey(known=True, closed=True, states=tuple(ahead)))
    assert STAGES.index(after) >= STAGES.index(before)


def test_the_test_data_are_the_same_for_the_same_day() -> None:
    first, again = (list(check_frames("twin-flight-check", "s", seed=20261126)) for _ in range(2))
    other = list(check_frames("twin-flight-check", "s", seed=20261127))
    assert all((a.array == b.array).all() for a, b in zip(first, again, strict=True))
    assert any((a.array != b.array).any() for a, b in zip(first, other, strict=True))
    assert all(frame.header.simulated for frame in first)


@given(
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.times(),
)
def test_the_next_start_is_within_a_day_and_at_the_wanted_time(now: datetime, at: time) -> None:
    due = next_start(now, at)
    assert timedelta(0) < due - now <= timedelta(days=1)
    assert due.time() == at


def test_a_check_is_run_each_time_it_is_due_and_not_before() -> None:
    # A clock that jumps twenty minutes at every look.
    start = datetime(2026, 11, 26, 1, 0, tzinfo=UTC)
    looks: list[datetime] = []
    runs: list[datetime] = []
    twice = threading.Event()

    def clock() -> datetime:
        looks.append(start + timedelta(minutes=20) * len(looks))
        return looks[-1]

    def run(_stopping: threading.Event) -> None:
        runs.append(looks[-1])
        if len(runs) == 2:
            twice.set()

    schedule = FlightCheckSchedule(time(2, 30), run, clock=clock, longest_wait_s=0.001)
    schedule.start()
    assert twice.wait(20)
    schedule.stop()
    assert runs[0].date() < runs[1].date()
    assert all(time(2, 30) <= moment.time() < time(3, 30) for moment in runs)
