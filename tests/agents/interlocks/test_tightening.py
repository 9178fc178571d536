"""Limits can be made tighter from far away, and never wider."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric_agents.interlocks import Limits, tightened
from eucentric_agents.interlocks._tightening import SENSES
from eucentric_core import CommandRefusedError, InterlockError
from eucentric_core.vocabulary import (
    BeamUnblank,
    Command,
    OpticsFieldOfView,
    ScanAcquire,
    StageMove,
    StageTilt,
)

from .bench import a_state, interlocks, passes, some_limits

BASE = some_limits(
    stage={"x_m": [-1e-5, 1e-5], "max_step_m": 1e-5, "z_m": [-1e-5, 1e-5], "max_tilt_rad": 0.5},
    rate={"min_interval_s": 0.1, "moves_per_minute": 60},
    dose={"region_e_per_a2": 100.0, "assumed_beam_current_a": 1e-11},
    detector={"min_field_of_view_m": 1e-8},
    beam={"max_unblank_s": 60.0},
)


def test_every_limit_says_which_change_makes_it_tighter() -> None:
    for section, field in Limits.model_fields.items():
        keys: Any = field.annotation
        assert set(SENSES[section]) == set(keys.model_fields)


def test_what_was_tightened_holds_at_once_and_is_shown() -> None:
    locks = interlocks(BASE)
    locks.admit(BeamUnblank(max_duration_s=0.01), a_state(on=False, current_a=1e-15))
    after = locks.tighten({"beam": {"max_unblank_s": 0.005}, "stage": {"x_m": [-2e-6, 1e-5]}})
    with pytest.raises(InterlockError):
        locks.admit(BeamUnblank(max_duration_s=0.01), a_state(on=False, current_a=1e-15))
    with pytest.raises(InterlockError):
        locks.admit(StageMove(x_m=-3e-6), a_state(on=False))
    shown = locks.show()
    locks.close()
    assert shown["limits"] == after
    assert shown["file"] == BASE.model_dump(mode="json")
    assert shown["spent"]["tightened"] is True  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"beam": {"max_unblank_s": 61.0}}, "beam.max_unblank_s"),
        ({"beam": {"max_unblank_s": None}}, "beam.max_unblank_s"),
        ({"stage": {"x_m": [-1.1e-5, 0.0]}}, "stage.x_m"),
        ({"stage": {"x_m": None}}, "stage.x_m"),
        ({"stage": {"max_tilt_rad": 0.6}}, "stage.max_tilt_rad"),
        ({"rate": {"min_interval_s": 0.05}}, "rate.min_interval_s"),
        ({"rate": {"moves_per_minute": 61}}, "rate.moves_per_minute"),
        ({"detector": {"min_field_of_view_m": 9e-9}}, "detector.min_field_of_view_m"),
        ({"dose": {"region_size_m": 1e-9}}, "dose.region_size_m"),
        ({"dose": {"assumed_beam_current_a": 1e-12}}, "dose.assumed_beam_current_a"),
        ({"beam": {"max_unblanc_s": 1.0}}, "beam.max_unblanc_s"),
        ({"bean": {"max_unblank_s": 1.0}}, "bean"),
        ({"beam": 3}, "beam"),
        ({"stage": {"x_m": [-5, 5]}}, "stage.x_m"),
        # One of several: none of them happens.
        ({"beam": {"max_unblank_s": 1.0}, "dose": {"region_e_per_a2": 101.0}}, "dose.region_e_per_a2"),
    ],
)
def test_a_change_that_is_wider_or_not_understood_is_refused_by_its_name(
    changes: dict[str, Any], named: str
) -> None:
    locks = interlocks(BASE)
    with pytest.raises(CommandRefusedError, match=named.replace(".", r"\.")):
        locks.tighten(changes)
    assert locks.show()["limits"] == BASE.model_dump(mode="json")
    locks.close()


def test_keep_outs_can_be_added_and_not_taken_away() -> None:
    bar = {"name": "bar", "x_m": [1e-6, 2e-6]}
    once = tightened(BASE, {"stage": {"keep_out": [bar]}})
    twice = tightened(once, {"stage": {"keep_out": [{"name": "clamp", "y_m": [1e-6, 2e-6]}]}})
    assert [box.name for box in twice.stage.keep_out] == ["bar", "clamp"]
    assert tightened(twice, {"stage": {"keep_out": []}}) == twice


def test_a_limit_can_be_set_where_there_was_none() -> None:
    after = tightened(some_limits(), {"dose": {"region_beam_on_s": 5.0}, "stage": {"y_m": [0.0, 1e-6]}})
    assert after.dose.region_beam_on_s == 5.0
    assert after.stage.y_m == (0.0, 1e-6)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or none."""
    return st.none() | values


def span(size: float) -> st.SearchStrategy[list[float]]:
    """A range within plus or minus `size`."""
    ends = st.floats(-size, size, allow_nan=False)
    return st.tuples(ends, ends).map(sorted)


SECTIONS = st.fixed_dictionaries(
    {
        "stage": st.fixed_dictionaries(
            {},
            optional={
                "x_m": span(1e-4),
                "alpha_rad": span(1.0),
                "z_m": span(1e-4),
                "max_tilt_rad": maybe(st.floats(0.1, 1.0)),
                "z_at_full_tilt_m": maybe(st.floats(0.0, 1e-4)),
                "max_step_m": maybe(st.floats(1e-6, 1e-4)),
                "max_tilt_step_rad": maybe(st.floats(0.1, 1.0)),
                "keep_out": span(1e-4)
                .filter(lambda ends: ends[0] < ends[1])
                .map(lambda ends: [{"name": "box", "y_m": ends}]),
            },
        ),
        "dose": st.fixed_dictionaries(
            {},
            optional={
                "region_e_per_a2": maybe(st.floats(1.0, 1e5)),
                "session_e_per_a2": maybe(st.floats(1.0, 1e5)),
                "region_beam_on_s": maybe(st.floats(0.1, 10)),
                "reaction_s": st.floats(0.1, 1.0),
                "assumed_beam_current_a": maybe(st.floats(1e-12, 1e-9)),
            },
        ),
        "detector": st.fixed_dictionaries(
            {},
            optional={
                "max_electrons_per_pixel": maybe(st.floats(1.0, 1e5)),
                "max_beam_current_a": maybe(st.floats(1e-12, 1e-9)),
                "min_field_of_view_m": maybe(st.floats(1e-9, 1e-6)),
            },
        ),
        "beam": st.fixed_dictionaries({}, optional={"max_unblank_s": maybe(st.floats(0.1, 20))}),
    }
)
PROBES: st.SearchStrategy[Command] = st.one_of(
    st.builds(StageMove, x_m=maybe(st.floats(-1e-4, 1e-4)), z_m=maybe(st.floats(-1e-4, 1e-4))),
    st.builds(StageMove, y_m=st.floats(-1e-4, 1e-4)),
    st.builds(StageTilt, alpha_rad=st.floats(-1, 1), beta_rad=maybe(st.floats(-1, 1))),
    st.builds(BeamUnblank, max_duration_s=st.floats(0.1, 20)),
    st.builds(OpticsFieldOfView, field_of_view_m=st.floats(1e-9, 1e-6)),
    st.builds(ScanAcquire, dwell_time_s=st.floats(1e-7, 1e-4)),
)


@settings(max_examples=150, deadline=None)
@given(
    SECTIONS,
    st.lists(SECTIONS, min_size=1, max_size=3),
    st.lists(PROBES, min_size=1, max_size=6),
    st.booleans(),
)
def test_nothing_that_was_refused_before_is_admitted_after_any_number_of_changes(
    file: dict[str, Any], changes: list[dict[str, Any]], probes: list[Command], on: bool
) -> None:
    try:
        limits = Limits.model_validate(file)
    except ValidationError:
        # Where the height shrinks from is missing.
        reject()
    after = limits
    for change in changes:
        try:
            after = tightened(after, change)
        except CommandRefusedError:
            # Key by key, for one of them is tighter more often than all of them.
            for section, keys in change.items():
                for key, value in keys.items():
                    try:
                        after = tightened(after, {section: {key: value}})
                    except CommandRefusedError:
                        continue
    # Where the stage stands, both know: inside, or not at all.
    state = a_state(on=on)
    for probe in probes:
        assert passes(limits, probe, state) or not passes(after, probe, state)
