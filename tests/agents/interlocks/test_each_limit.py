"""A limit itself passes, and the next number beyond it does not: every limit, both signs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from eucentric_core import InterlockError
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    CameraAcquire,
    Command,
    InstrumentState,
    OpticsFieldOfView,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
)

from .bench import Clock, a_state, interlocks, passes, some_limits

E_C = 1.602176634e-19
REACTION_S = 0.25
FIELD_M = 1e-7


def above(value: float) -> float:
    """The next number further from minus infinity."""
    return float(np.nextafter(value, math.inf))


def below(value: float) -> float:
    """The next number nearer to it."""
    return float(np.nextafter(value, -math.inf))


SPANS = {
    "x_m": (-4e-5, 5e-5),
    "y_m": (-3e-5, 2e-5),
    "z_m": (-1e-5, 7e-6),
    "alpha_rad": (-0.5, 0.6),
    "beta_rad": (-0.3, 0.2),
}
ENVELOPE = some_limits(stage={axis: list(span) for axis, span in SPANS.items()})


def to(axis: str, value: float) -> Command:
    """The absolute move of one axis."""
    if axis.endswith("_m"):
        return StageMove.model_validate({axis: value})
    return StageTilt.model_validate({axis: value})


@pytest.mark.parametrize("axis", SPANS)
@pytest.mark.parametrize("start", [0.0, 1e-7])
def test_each_axis_may_go_to_both_its_ends_and_not_beyond(axis: str, start: float) -> None:
    low, high = SPANS[axis]
    standing: dict[str, Any] = {axis: start}
    state = a_state(on=False, **standing)
    assert passes(ENVELOPE, to(axis, low), state)
    assert passes(ENVELOPE, to(axis, high), state)
    assert not passes(ENVELOPE, to(axis, below(low)), state)
    assert not passes(ENVELOPE, to(axis, above(high)), state)


@pytest.mark.parametrize("axis", ["x_m", "y_m", "z_m"])
def test_a_relative_move_counts_from_where_the_stage_was_sent_last(axis: str) -> None:
    low, high = SPANS[axis]
    for end, beyond in ((high, above(high)), (low, below(low))):
        locks = interlocks(ENVELOPE)
        locks.admit(to(axis, end / 2), a_state(on=False))
        # The encoder says a little less than what was commanded.
        reported: dict[str, Any] = {axis: end / 2 - math.copysign(1e-10, end)}
        there = a_state(on=False, **reported)
        with pytest.raises(InterlockError):
            locks.admit(StageMoveBy.model_validate({f"d{axis}": beyond - end / 2}), there)
        locks.admit(StageMoveBy.model_validate({f"d{axis}": end / 2}), there)
        locks.close()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_combined_tilt(sign: float) -> None:
    alpha, beta = 0.3 * sign, 0.4
    limits = some_limits(stage={"max_tilt_rad": math.hypot(alpha, beta)})
    state = a_state(on=False)
    assert passes(limits, StageTilt(alpha_rad=alpha, beta_rad=beta), state)
    assert passes(limits, StageTilt(alpha_rad=alpha, beta_rad=-beta), state)
    tighter = some_limits(stage={"max_tilt_rad": below(math.hypot(alpha, beta))})
    assert not passes(tighter, StageTilt(alpha_rad=alpha, beta_rad=beta), state)
    assert not passes(tighter, StageTilt(alpha_rad=alpha, beta_rad=-beta), state)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("tilt", "allowed"), [(0.0, 4e-5), (0.8, 1e-5), (0.4, 2.5e-5)])
def test_height_shrinks_with_tilt_and_is_exact_at_both_ends(sign: float, tilt: float, allowed: float) -> None:
    limits = some_limits(stage={"z_m": [-4e-5, 4e-5], "max_tilt_rad": 0.8, "z_at_full_tilt_m": 1e-5})
    state = a_state(on=False, alpha_rad=tilt)
    assert passes(limits, StageMove(z_m=sign * allowed), state)
    assert not passes(limits, StageMove(z_m=sign * above(allowed)), state)


@pytest.mark.parametrize("face", [2e-5, 3e-5])
def test_the_face_of_a_keep_out_passes_and_its_inside_does_not(face: float) -> None:
    limits = some_limits(stage={"keep_out": [{"name": "grid bar", "x_m": [2e-5, 3e-5]}]})
    outside = a_state(on=False, x_m=0.0 if face == 2e-5 else 5e-5)
    inward = above if face == 2e-5 else below
    assert passes(limits, StageMove(x_m=face), outside)
    assert not passes(limits, StageMove(x_m=inward(face)), outside)


def test_the_longest_step_of_one_and_of_several_axes() -> None:
    state = a_state(on=False)
    step = math.hypot(3e-6, 4e-6)
    limits = some_limits(stage={"max_step_m": step, "max_tilt_step_rad": 0.05})
    tighter = some_limits(stage={"max_step_m": below(step), "max_tilt_step_rad": below(0.05)})
    for sign in (1, -1):
        for command in (
            StageMove(x_m=3e-6 * sign, y_m=4e-6),
            StageMoveBy(dx_m=3e-6 * sign, dz_m=4e-6),
            StageTilt(beta_rad=0.05 * sign),
        ):
            assert passes(limits, command, state)
            assert not passes(tighter, command, state)


def test_moves_must_lie_apart() -> None:
    clock = Clock()
    locks = interlocks(some_limits(rate={"min_interval_s": 0.5}), clock)
    state = a_state(on=False)
    locks.admit(StageMove(x_m=1e-6), state)
    clock.now_s = below(100.5)
    with pytest.raises(InterlockError, match="ago"):
        locks.admit(StageMove(x_m=0.0), state)
    clock.now_s = 100.5
    locks.admit(StageTilt(alpha_rad=0.1), state)
    locks.close()


def test_moves_per_minute_count_in_a_sliding_minute() -> None:
    clock = Clock()
    locks = interlocks(some_limits(rate={"moves_per_minute": 2}), clock)
    state = a_state(on=False)
    locks.admit(StageMove(x_m=1e-6), state)
    clock.now_s = 130.0
    locks.admit(StageMove(x_m=2e-6), state)
    clock.now_s = below(160.0)
    with pytest.raises(InterlockError) as refused:
        locks.admit(StageMoveBy(dx_m=1e-6), state)
    assert refused.value.details["limit"] == 2.0
    clock.now_s = 160.0
    locks.admit(StageMoveBy(dx_m=1e-6), state)
    # Only moves count.
    locks.admit(OpticsFieldOfView(field_of_view_m=1e-6), state)
    locks.close()


SCAN = ScanAcquire(height_px=100, width_px=200, dwell_time_s=1e-5)
FRAME_S = SCAN.dwell_time_s * SCAN.height_px * SCAN.width_px
SQUARE_M2 = FIELD_M * FIELD_M
STRIP_M2 = FIELD_M * (FIELD_M * SCAN.height_px / SCAN.width_px)


def dose(duration_s: float, area_m2: float = SQUARE_M2) -> float:
    """Electrons per square angstrom of 100 pA."""
    return 1e-10 * duration_s / E_C / area_m2 * 1e-20


def dark(**changes: Any) -> InstrumentState:
    """The same state with the beam blanked."""
    return a_state(on=False, field_m=FIELD_M, **changes)


LIT = a_state(field_m=FIELD_M)

UPPER: list[tuple[str, str, float, Command, InstrumentState]] = [
    ("beam", "max_unblank_s", 2.5, BeamUnblank(max_duration_s=2.5), dark()),
    ("detector", "max_beam_current_a", 1e-10, BeamUnblank(max_duration_s=1), dark()),
    ("detector", "max_beam_current_a", 1e-10, SCAN, LIT),
    ("detector", "max_electrons_per_pixel", 1e-10 * 1e-5 / E_C, SCAN, LIT),
    ("detector", "max_electrons_per_pixel", 1e-10 * 1e-5 / E_C, SCAN, dark()),
    (
        "detector",
        "max_electrons_per_pixel",
        1e-10 * 2e-6 / E_C,
        BeamUnblank(max_duration_s=1),
        dark(scanning=True, dwell_s=2e-6),
    ),
    ("dose", "region_beam_on_s", 4 + REACTION_S, BeamUnblank(max_duration_s=4), dark()),
    ("dose", "session_beam_on_s", 4 + REACTION_S, BeamUnblank(max_duration_s=4), dark()),
    ("dose", "session_beam_on_s", FRAME_S + REACTION_S, SCAN, LIT),
    ("dose", "region_e_per_a2", dose(4 + REACTION_S), BeamUnblank(max_duration_s=4), dark()),
    ("dose", "region_e_per_a2", dose(FRAME_S + REACTION_S, STRIP_M2), SCAN, LIT),
    (
        "dose",
        "region_e_per_a2",
        dose(3 * (1e-6 * 512 * 512) + REACTION_S),
        ScanStream(max_frames=3),
        LIT,
    ),
    (
        "dose",
        "region_e_per_a2",
        dose(3 * 2.0 + REACTION_S),
        ScanStream(max_frames=3, max_frames_per_s=0.5),
        LIT,
    ),
    ("dose", "region_e_per_a2", dose(1e-6 * 512 * 512), ScanStream(), LIT),
    ("dose", "region_e_per_a2", dose(1.5 + REACTION_S), CameraAcquire(camera="c", exposure_s=1.5), LIT),
    (
        "dose",
        "region_e_per_a2",
        dose(1.5 + REACTION_S),
        SpectrumAcquire(spectrometer="eels", exposure_s=1.5),
        LIT,
    ),
    ("dose", "region_e_per_a2", dose(REACTION_S), StageMove(x_m=1e-5), LIT),
    (
        "dose",
        "region_e_per_a2",
        dose(REACTION_S, (FIELD_M / 4) * (FIELD_M * (FIELD_M / 4 / FIELD_M))),
        OpticsFieldOfView(field_of_view_m=FIELD_M / 4),
        LIT,
    ),
]


@pytest.mark.parametrize(("section", "key", "limit", "command", "state"), UPPER)
def test_an_upper_limit_passes_at_its_value_and_not_one_step_lower(
    section: str, key: str, limit: float, command: Command, state: InstrumentState
) -> None:
    blind = {"assumed_beam_current_a": 1e-10}
    limits = {section: {key: limit}}
    tighter = {section: {key: below(limit)}}
    for one in (limits, tighter):
        one["dose"] = {**blind, **one.get("dose", {})}
    assert passes(some_limits(**limits), command, state)
    locks = interlocks(some_limits(**tighter))
    with pytest.raises(InterlockError) as refused:
        locks.admit(command, state)
    locks.close()
    details = refused.value.details
    assert details["interlock"] == f"{section}.{key}"
    assert details["limit"] == below(limit)
    assert details["value"] == limit
    assert details["unit"]


def test_the_mean_dose_of_a_session() -> None:
    mean = (0.0 + dose(4 + REACTION_S) * SQUARE_M2) / SQUARE_M2
    command = BeamUnblank(max_duration_s=4)
    assert passes(some_limits(dose={"session_e_per_a2": mean}), command, dark())
    assert not passes(some_limits(dose={"session_e_per_a2": below(mean)}), command, dark())


def test_the_smallest_field_of_view() -> None:
    limits = some_limits(detector={"min_field_of_view_m": 1e-8})
    assert passes(limits, OpticsFieldOfView(field_of_view_m=1e-8), dark())
    assert not passes(limits, OpticsFieldOfView(field_of_view_m=below(1e-8)), dark())
    assert passes(limits, SCAN, a_state(field_m=1e-8))
    assert not passes(limits, SCAN, a_state(field_m=below(1e-8)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_passes(bad: float) -> None:
    anything = some_limits()
    for command in (
        StageMove.model_construct(verb="stage.move", x_m=bad, y_m=None, z_m=None),
        StageMoveBy.model_construct(verb="stage.move_by", dx_m=None, dy_m=bad, dz_m=None),
        StageTilt.model_construct(verb="stage.tilt", alpha_rad=None, beta_rad=bad),
    ):
        assert not passes(anything, command, a_state(on=False))
    good = a_state()
    lost = good.model_copy(update={"stage": good.stage.model_copy(update={"z_m": bad})})
    for refused in (StageMove(x_m=0.0), BeamUnblank(max_duration_s=1), SCAN):
        assert not passes(anything, refused, lost)
    locks = interlocks(anything)
    trip = locks.observe(lost)
    locks.close()
    assert trip is not None
    assert trip.interlock == "state"


@pytest.mark.parametrize("command", [BeamBlank(), ScanAbort(), StageStop(), StageGet()])
def test_what_makes_things_safer_always_passes(command: Command) -> None:
    nothing = some_limits(dose={"region_e_per_a2": 1e-9}, stage={"x_m": [0.0, 0.0]})
    assert passes(nothing, command, a_state(x_m=1e-3))


@pytest.mark.parametrize(
    ("command", "unit"),
    [
        (StageMove.model_construct(verb="stage.move", x_m=50.0, y_m=None, z_m=None), "micrometres"),
        (StageMove.model_construct(verb="stage.move", x_m=None, y_m=2500.0, z_m=None), "nanometres"),
        (StageTilt(alpha_rad=1.5), "degrees"),
    ],
)
def test_a_number_in_another_unit_is_recognised(command: Command, unit: str) -> None:
    limits = some_limits(
        stage={"x_m": [-6e-5, 6e-5], "y_m": [-3e-6, 3e-6], "alpha_rad": [-0.3, 0.3]},
    )
    locks = interlocks(limits)
    with pytest.raises(InterlockError, match=f"looks like {unit}"):
        locks.admit(command, a_state(on=False))
    locks.close()
