"""How often a service is started again: bounded in any window, and ever later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eucentric.hub._restarts import Restarts


def test_each_restart_waits_longer_and_the_last_is_the_last() -> None:
    restarts, waits = Restarts(3, 600.0), []
    for second in range(4):
        restarts, wait_s = restarts.ended(float(second))
        waits.append(wait_s)
    assert waits == [0.5, 1.0, 2.0, None]


def test_what_is_long_ago_does_not_count() -> None:
    restarts, first = Restarts(1, 600.0).ended(0.0)
    assert restarts.ended(599.0)[1] is None
    assert first == restarts.ended(600.0)[1] == 0.5


@given(
    gaps=st.lists(st.floats(0, 300), max_size=60),
    most=st.integers(0, 6),
    within_s=st.floats(1, 600),
)
def test_never_more_than_allowed_in_any_window(gaps: list[float], most: int, within_s: float) -> None:
    restarts, now_s, started = Restarts(most, within_s), 0.0, []
    for gap in gaps:
        now_s += gap
        restarts, wait_s = restarts.ended(now_s)
        if wait_s is None:
            continue
        assert 0 < wait_s <= 30
        started.append(now_s)
    for begin in started:
        assert sum(begin <= at < begin + within_s for at in started) <= most
