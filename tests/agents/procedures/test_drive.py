"""Features are found, driven to, looked at, and brought into the middle of the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_agents.procedures import (
    DirectMicroscope,
    DrivePlan,
    DriveResult,
    DriveToFeature,
    Exposure,
    FeatureNotReachedError,
    corrected_move,
    find_particles,
    run,
)
from eucentric_core import ConfigurationError, Frame, MoveFailedError

from .scene import EXPOSURE, WORN_STAGE, landscape, opened

OVERVIEW = Exposure(height_px=512, width_px=512, field_of_view_m=1e-6)
CLOSE = Exposure(height_px=128, width_px=128, field_of_view_m=60e-9)
STAGE = {**WORN_STAGE, "backlash_m": 30e-9}
SMOOTH_STAGE = {**STAGE, "repeatability_m": 0.7e-9}


class Truths:
    """A frame sink that remembers what truly was in each frame."""

    def __init__(self) -> None:
        self._rows: dict[int, Any] = {}

    def __call__(self, frame: Frame) -> None:
        if frame.header.stream == "truth":
            seeds = frame.header.classes.index("seed")
            self._rows[frame.header.sequence] = frame.array[frame.array[:, 2] != seeds]

    def misses_m(self, result: DriveResult) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """How far the nearest particle is from the middle of each final frame; infinite without one."""
        return np.array([self._miss_m(visit.frame) for visit in result.visits])

    def _miss_m(self, frame: Frame | None) -> float:
        if frame is None:
            return np.inf
        middle = (np.array(frame.array.shape) - 1) / 2
        distance = np.linalg.norm(self._rows[frame.header.sequence][:, :2] - middle, axis=1)
        return float(distance.min(initial=np.inf)) * frame.header.pixel_size_m


def particles(count: int) -> Any:
    return lambda overview: find_particles(overview, diameter_m=10e-9, margin_px=8)[:count]


def test_features_are_reached_within_two_nanometres() -> None:
    truths = Truths()
    with opened(landscape(7, STAGE), forward=truths) as scope:
        plan = DrivePlan(overview=OVERVIEW, final=CLOSE, tolerance_m=2e-9, keep_going=True)
        result = run(DriveToFeature(plan, particles(30)), scope)
    assert len(result.visits) == 30
    assert np.sum(truths.misses_m(result) <= 2e-9) >= 29
    assert all(visit.frame is not None for visit in result.reached)


def test_the_stage_alone_gets_there_where_the_beam_is_not_to_be_shifted() -> None:
    truths = Truths()
    with opened(landscape(8, SMOOTH_STAGE), forward=truths) as scope:
        plan = DrivePlan(overview=OVERVIEW, final=CLOSE, corrector="stage")
        result = run(DriveToFeature(plan, particles(5)), scope)
    assert truths.misses_m(result).max() <= 2e-9
    assert all(visit.beam_shift_m == (0.0, 0.0) for visit in result.visits)
    assert max(visit.corrections for visit in result.visits) >= 1


def test_a_feature_out_of_reach_is_a_typed_error_and_the_beam_is_blanked() -> None:
    # Scatter of 20 nm: no stage move will ever end within 2 nm but by chance.
    with opened(landscape(9, {**STAGE, "repeatability_m": 20e-9})) as scope:
        plan = DrivePlan(
            overview=OVERVIEW, final=CLOSE, corrector="stage", max_corrections=1, tolerance_m=1e-10
        )
        with pytest.raises(FeatureNotReachedError, match="after 1 corrections") as failed:
            run(DriveToFeature(plan, [(256.0, 200.0)]), scope)
        assert (failed.value.details["y_px"], failed.value.details["x_px"]) == (256.0, 200.0)
        assert scope.state().beam_blanked
        # What was exposed for nothing is not exposed for the next feature either: it is recorded, with why.
        recorded = run(DriveToFeature(plan.model_copy(update={"keep_going": True}), [(256.0, 200.0)]), scope)
    assert recorded.reached == ()
    assert recorded.visits[0].error is not None
    assert recorded.visits[0].error.code == "feature_not_reached"


def test_a_place_that_is_not_recognised_is_not_reached() -> None:
    with opened(landscape(9, STAGE)) as scope:
        overview = OVERVIEW.take(scope)
        elsewhere = Frame(overview.header, np.ascontiguousarray(overview.array[::-1, ::-1]))
        plan = DrivePlan(overview=OVERVIEW, final=CLOSE)
        with pytest.raises(FeatureNotReachedError, match="not recognised"):
            run(DriveToFeature(plan, [(100.0, 200.0)], overview=elsewhere), scope)


def test_visited_features_are_not_visited_again(tmp_path: Path) -> None:
    scans: list[int] = []

    def count(frame: Frame) -> None:
        if frame.header.stream == "haadf":
            scans.append(frame.header.sequence)

    def drive(scope: DirectMicroscope) -> DriveResult:
        plan = DrivePlan(overview=OVERVIEW, final=CLOSE)
        return run(DriveToFeature(plan, particles(2)), scope, checkpoint=tmp_path)

    with opened(landscape(7, STAGE), forward=count) as scope:
        first = drive(scope)
        taken = len(scans)
        again = drive(scope)
    assert len(scans) == taken
    assert [visit.offset_m for visit in again.visits] == [visit.offset_m for visit in first.visits]
    assert all(visit.frame is not None for visit in again.visits)


@pytest.mark.parametrize("target_m", [(300e-9, -150e-9), (-1.1e-6, 0.7e-6)])
def test_a_corrected_move_arrives_where_the_stage_alone_would_not(target_m: tuple[float, float]) -> None:
    with opened(landscape(10, {**WORN_STAGE, "repeatability_m": 1e-9})) as scope:
        start = scope.stage()
        report = corrected_move(scope, x_m=target_m[0], y_m=target_m[1], exposure=EXPOSURE, tolerance_m=4e-9)
        truth = scope.stage()
        assert scope.state().beam_blanked
    assert start.actual is not None
    assert truth.actual is not None
    assert report.actual is not None
    assert (report.commanded.x_m, report.commanded.y_m) == target_m
    # Measured from where the stage truly was at the beginning, which it reported otherwise.
    travelled = (truth.actual.x_m - start.actual.x_m, truth.actual.y_m - start.actual.y_m)
    measured = (report.actual.x_m - start.reported.x_m, report.actual.y_m - start.reported.y_m)
    assert measured == pytest.approx(travelled, abs=2e-9)
    assert np.hypot(report.actual.x_m - target_m[0], report.actual.y_m - target_m[1]) <= 4e-9


def test_a_move_that_cannot_be_corrected_is_an_error() -> None:
    with opened(landscape(10, {**WORN_STAGE, "repeatability_m": 20e-9})) as scope:
        with pytest.raises(MoveFailedError, match="after 1 corrections"):
            corrected_move(scope, x_m=2e-7, y_m=0.0, exposure=EXPOSURE, tolerance_m=1e-11, max_corrections=1)
        assert scope.state().beam_blanked
        small = Exposure(height_px=128, width_px=128, field_of_view_m=1e-7)
        with pytest.raises(ConfigurationError, match="too small"):
            corrected_move(scope, x_m=2e-7, y_m=0.0, exposure=small, tolerance_m=1e-9)
