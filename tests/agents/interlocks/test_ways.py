"""Not only where a move ends counts, but every way there, and what the stage may have been told before."""

from __future__ import annotations

from typing import Any

import pytest

from eucentric_core import InterlockError
from eucentric_core.vocabulary import Command, InstrumentState, StageMove, StageMoveBy, StageTilt

from .bench import a_state, interlocks, passes, some_limits

BAR = some_limits(
    stage={"keep_out": [{"name": "grid bar", "x_m": [1e-5, 2e-5], "y_m": [1e-5, 2e-5]}]},
)
HEIGHT = some_limits(stage={"z_m": [-4e-5, 4e-5], "max_tilt_rad": 0.8, "z_at_full_tilt_m": 1e-5})


def blanked(**stage: Any) -> InstrumentState:
    """A stage that stands there, beam off."""
    return a_state(on=False, **stage)


@pytest.mark.parametrize(
    ("start", "command", "admitted"),
    [
        # Straight through, though neither end is inside.
        ({"y_m": 1.5e-5}, StageMove(x_m=3e-5), False),
        # Diagonally past the corner: the axes may run one after the other.
        ({"x_m": 0.0, "y_m": 1.5e-5}, StageMove(x_m=1.5e-5, y_m=3e-5), False),
        ({"x_m": 0.0, "y_m": 1.5e-5}, StageMoveBy(dx_m=1.5e-5, dy_m=1.5e-5), False),
        # Around it, one axis after the other.
        ({"y_m": 1.5e-5}, StageMove(y_m=3e-5), True),
        ({"y_m": 3e-5}, StageMove(x_m=3e-5), True),
        ({"x_m": 3e-5, "y_m": 3e-5}, StageMove(y_m=0.0), True),
        # The box has no ends in z and tilt.
        ({"x_m": 1.5e-5, "z_m": 1e-4}, StageMove(y_m=1.5e-5), False),
    ],
)
def test_no_way_to_the_target_may_touch_a_keep_out(
    start: dict[str, float], command: Command, admitted: bool
) -> None:
    assert passes(BAR, command, blanked(**start)) is admitted


def test_the_worst_corner_of_the_way_decides_over_combined_limits() -> None:
    # High and flat to low and tilted: if the tilt comes first, the stage is high and tilted.
    high = blanked(z_m=3e-5)
    assert not passes(HEIGHT, StageTilt(alpha_rad=0.6), high)
    assert passes(HEIGHT, StageMove(z_m=1e-5), high)
    assert passes(HEIGHT, StageTilt(alpha_rad=0.6), blanked(z_m=1e-5))
    tilted = blanked(alpha_rad=0.7)
    assert not passes(HEIGHT, StageTilt(alpha_rad=0.0, beta_rad=0.7), tilted)
    assert passes(HEIGHT, StageTilt(alpha_rad=0.0), tilted)


def test_a_stage_beyond_a_limit_may_come_back_and_go_nowhere_else() -> None:
    limits = some_limits(stage={"x_m": [-1e-5, 1e-5], "y_m": [-1e-5, 1e-5]})
    outside = blanked(x_m=1.2e-5)
    assert passes(limits, StageMove(x_m=1e-5), outside)
    assert passes(limits, StageMoveBy(dx_m=-5e-6), outside)
    assert passes(limits, StageMove(y_m=5e-6), outside)
    assert not passes(limits, StageMove(x_m=1.1e-5), outside)
    assert not passes(limits, StageMove(x_m=1.3e-5), outside)
    assert not passes(limits, StageMove(x_m=-1.1e-5), outside)


def test_a_stage_inside_a_keep_out_may_leave_through_the_nearest_face() -> None:
    inside = blanked(x_m=1.1e-5, y_m=1.5e-5)
    assert passes(BAR, StageMove(x_m=0.0), inside)
    assert not passes(BAR, StageMove(x_m=3e-5), inside)
    assert not passes(BAR, StageMove(x_m=1.05e-5), inside)


def test_a_relative_move_counts_from_the_last_command_even_if_the_stage_was_halted_short() -> None:
    locks = interlocks(some_limits(stage={"x_m": [-1e-5, 1e-5]}))
    locks.admit(StageMove(x_m=9e-6), blanked())
    with pytest.raises(InterlockError):
        locks.admit(StageMoveBy(dx_m=5e-6), blanked(x_m=4e-6))
    locks.admit(StageMoveBy(dx_m=1e-6), blanked(x_m=4e-6))
    locks.close()


def test_a_command_the_driver_refused_is_not_where_the_next_one_counts_from_for_sure() -> None:
    locks = interlocks(some_limits(stage={"x_m": [-1e-5, 1e-5]}))
    locks.admit(StageMove(x_m=8e-6), blanked())
    locks.admit(StageMove(x_m=-8e-6), blanked(x_m=8e-6))
    # It never left: from 8 um, 5 um more would be too far.
    with pytest.raises(InterlockError):
        locks.admit(StageMoveBy(dx_m=5e-6), blanked(x_m=8e-6))
    # It went: the place before no longer counts.
    locks.admit(StageMoveBy(dx_m=5e-6), blanked(x_m=-8e-6))
    locks.close()


def test_a_move_without_any_axis_is_no_move() -> None:
    locks = interlocks(some_limits(rate={"moves_per_minute": 1}, stage={"x_m": [0.0, 0.0]}))
    for _ in range(3):
        locks.admit(StageMove(), blanked(x_m=1.0e-5))
    locks.close()
