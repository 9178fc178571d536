"""Whatever is sent in whatever order: no limit is ever exceeded, by the instrument's own log."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucentric_core import StagePosition
from eucentric_core.vocabulary import (
    BeamUnblank,
    Command,
    OpticsFieldOfView,
    ScanAcquire,
    ScanStream,
    SimulationDrift,
    StageMove,
    StageMoveBy,
    StageTilt,
)

from .bench import Bench, some_limits

REGION_E_PER_A2 = 1000.0
BEAM_ON_S = 3.0
STAGE: dict[str, Any] = {
    "x_m": [-2e-6, 2e-6],
    "y_m": [-1e-6, 3e-6],
    "z_m": [-4e-5, 4e-5],
    "alpha_rad": [-0.6, 0.6],
    "beta_rad": [-0.5, 0.5],
    "max_tilt_rad": 0.7,
    "z_at_full_tilt_m": 1e-5,
    "keep_out": [
        {"name": "bar", "x_m": [0.5e-6, 1e-6], "y_m": [0.5e-6, 1e-6]},
        {"name": "detector", "z_m": [1e-5, 5e-5], "x_m": [1.2e-6, 5e-6]},
    ],
}


def some(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of a range, its ends and their neighbourhood more often than others."""
    return st.sampled_from([low, high, 0.0, low / 2, high / 2]) | st.floats(low, high)


def maybe(low: float, high: float) -> st.SearchStrategy[float | None]:
    """A number, or none."""
    return st.none() | some(low, high)


MOVES: st.SearchStrategy[Command] = st.one_of(
    st.builds(StageMove, x_m=maybe(-2.5e-6, 2.5e-6), y_m=maybe(-2e-6, 4e-6), z_m=maybe(-5e-5, 5e-5)),
    st.builds(StageMoveBy, dx_m=maybe(-2e-6, 2e-6), dy_m=maybe(-2e-6, 2e-6), dz_m=maybe(-3e-5, 3e-5)),
    st.builds(StageTilt, alpha_rad=maybe(-0.7, 0.7), beta_rad=maybe(-0.7, 0.7)),
)
FRAMES = st.sampled_from([None, 1, 3])
UNBLANK: st.SearchStrategy[Command] = st.builds(
    BeamUnblank, max_duration_s=st.sampled_from([0.1, 0.3, 1.0, 2.0])
)
BEAM: st.SearchStrategy[Command] = st.one_of(
    UNBLANK,
    UNBLANK,
    st.builds(
        ScanAcquire, height_px=st.sampled_from([64, 256]), dwell_time_s=st.sampled_from([1e-6, 1e-5, 5e-6])
    ),
    st.builds(ScanStream, max_frames=FRAMES, dwell_time_s=st.sampled_from([1e-7, 2e-6])),
    st.builds(OpticsFieldOfView, field_of_view_m=st.sampled_from([5e-8, 1e-7, 4e-7])),
    st.builds(SimulationDrift, beam_current_factor=st.sampled_from([0.5, 2.0, 10.0])),
)
WAITS = st.sampled_from([0.0, 0.1, 0.4, 1.5])


def within(position: StagePosition) -> bool:
    """Whether a position keeps to every limit of `STAGE`, worked out by hand."""
    x, y, z = position.x_m, position.y_m, position.z_m
    tilt = (position.alpha_rad**2 + position.beta_rad**2) ** 0.5
    bar = 0.5e-6 < x < 1e-6 and 0.5e-6 < y < 1e-6
    detector = 1e-5 < z < 5e-5 and 1.2e-6 < x < 5e-6
    height = 4e-5 - 3e-5 * min(tilt / 0.7, 1.0)
    return (
        -2e-6 <= x <= 2e-6
        and -1e-6 <= y <= 3e-6
        and abs(position.alpha_rad) <= 0.6
        and abs(position.beta_rad) <= 0.5
        and tilt <= 0.7 * (1 + 1e-12)
        and abs(z) <= height * (1 + 1e-12)
        and not bar
        and not detector
    )


@settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MOVES, min_size=1, max_size=12), st.booleans())
def test_the_stage_never_leaves_its_envelope_on_any_way(moves: list[Command], z_first: bool) -> None:
    bench = Bench(some_limits(stage=STAGE), z_first=z_first)
    for move in moves:
        bench.do(move)
    bench.locks.close()
    assert all(within(place) for place in bench.visited)


@settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(BEAM | BEAM | MOVES, WAITS), min_size=3, max_size=10), st.sampled_from([0.0, 0.1]))
def test_no_point_of_the_specimen_gets_more_than_its_budget(
    commands: list[tuple[Command, float]], reaction_s: float
) -> None:
    limits = some_limits(
        dose={
            "region_e_per_a2": REGION_E_PER_A2,
            "session_beam_on_s": BEAM_ON_S,
            "assumed_beam_current_a": 1e-10,
        },
        detector={"max_electrons_per_pixel": 1e5},
    )
    bench = Bench(limits, reaction_s=reaction_s)
    bench.do(BeamUnblank(max_duration_s=1.0))
    for command, wait_s in commands:
        if isinstance(command, ScanAcquire | ScanStream) and bench.state.scanning:
            continue
        bench.do(command)
        bench.wait(wait_s)
    bench.wait(0.5)
    spent = bench.locks.state
    bench.locks.close()
    assert bench.worst_dose_e_per_a2() <= REGION_E_PER_A2 * (1 + 1e-9)
    assert bench.beam_on_s <= BEAM_ON_S * (1 + 1e-9)
    assert spent.session_beam_on_s >= bench.beam_on_s * (1 - 1e-9)
