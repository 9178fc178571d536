"""A montage is right to a pixel and a half where the stage is off by many, and survives being killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from eucentric_agents.procedures import (
    DirectMicroscope,
    Exposure,
    Matching,
    Montage,
    MontagePlan,
    Progress,
    run,
)
from eucentric_core import ConfigurationError, Frame

from . import killed_montage
from .scene import (
    EXPOSURE,
    FIELD_M,
    PIXEL_M,
    WORN_STAGE,
    error_rms_px,
    finished_steps,
    landscape,
    opened,
    small_plan,
)

NEW_STAGE = {**WORN_STAGE, "backlash_m": 0.0, "repeatability_m": 0.0, "encoder_quantum_m": 1e-10}


@pytest.mark.parametrize("seed", [3, 11])
def test_tiles_lie_within_a_pixel_and_a_half_where_the_stage_is_off_by_more_than_five(seed: int) -> None:
    with opened(landscape(seed, WORN_STAGE)) as scope:
        result = run(Montage(MontagePlan(rows=4, columns=4, exposure=EXPOSURE)), scope)
    assert error_rms_px(result, of="reported") > 5.0
    assert error_rms_px(result, of="solved") <= 1.5
    assert result.failed == ()
    assert all(tile.registered for tile in result.tiles)


def test_the_mosaic_shows_what_one_large_frame_shows() -> None:
    large = Exposure(height_px=416, width_px=416, field_of_view_m=416 * PIXEL_M)
    with opened(landscape(5, NEW_STAGE)) as scope:
        result = run(Montage(MontagePlan(rows=2, columns=2, exposure=EXPOSURE, overlap=0.3)), scope)
        scope.move_stage(x_m=0.0, y_m=0.0)
        whole = large.take(scope)
    y, x = result.frame.header.axes
    # The large frame's middle lies at stage zero; so does the middle of the grid.
    top, left = (round(-(axis.offset / PIXEL_M) - 207.5) for axis in (y, x))
    mosaic = result.frame.array[top : top + 416, left : left + 416]
    inside = np.isfinite(mosaic)
    assert inside.mean() > 0.95
    assert np.corrcoef(mosaic[inside], np.asarray(whole.array, float)[inside])[0, 1] > 0.9


def test_approaching_from_one_side_takes_up_the_backlash() -> None:
    stage = {**WORN_STAGE, "repeatability_m": 0.0}
    with opened(landscape(4, stage)) as scope:
        plan = small_plan(3, 3, approach_m=200e-9, overlap=0.4)
        result = run(Montage(plan), scope)
    assert error_rms_px(result, of="reported") < 0.5


def test_a_turned_scan_is_put_together_as_well() -> None:
    with opened(landscape(6, WORN_STAGE)) as scope:
        scope.set_scan_rotation(0.4)
        result = run(Montage(MontagePlan(rows=2, columns=3, exposure=EXPOSURE, overlap=0.3)), scope)
    assert result.failed == ()
    assert error_rms_px(result, of="solved") <= 1.5


def test_a_montage_that_cannot_be_put_together_is_refused_before_the_beam_is_on() -> None:
    frames: list[Frame] = []
    with opened(landscape(1, WORN_STAGE), forward=frames.append) as scope:
        tiny = MontagePlan(rows=2, columns=2, exposure=Exposure(field_of_view_m=FIELD_M / 10))
        with pytest.raises(ConfigurationError, match="overlap"):
            run(Montage(tiny), scope)
        vast = MontagePlan(rows=300, columns=300, exposure=Exposure(field_of_view_m=FIELD_M))
        with pytest.raises(ConfigurationError, match="MiB"):
            run(Montage(vast), scope)
        with pytest.raises(ConfigurationError, match="The stage would have to go"):
            run(Montage(small_plan(1, 3, centre_m=(3.9e-6, 0.0))), scope)
        assert scope.state().beam_blanked
    assert frames == []


def test_a_montage_goes_on_at_the_magnification_it_was_begun_with(tmp_path: Path) -> None:
    plan = MontagePlan(rows=1, columns=3, exposure=Exposure(height_px=128, width_px=128), overlap=0.3)

    def stop(event: Progress) -> None:
        if event.step == 3:
            raise ArithmeticError("power cut")

    with opened(landscape(2, WORN_STAGE)) as scope:
        with pytest.raises(ArithmeticError):
            run(Montage(plan), scope, checkpoint=tmp_path, progress=stop)
        scope.set_field_of_view(FIELD_M / 3)
        result = run(Montage(plan), scope, checkpoint=tmp_path)
    assert error_rms_px(result, of="solved") <= 1.5


class NoRoom(Matching):
    """The computer gives up in the middle of registering."""

    def register(self, *_images: object, **_window: object) -> NoReturn:
        raise MemoryError("no room for a mosaic")


def test_an_error_while_registering_leaves_the_beam_blanked() -> None:
    with opened(landscape(1, WORN_STAGE)) as scope:
        with pytest.raises(MemoryError):
            run(Montage(small_plan(1, 2, matching=NoRoom())), scope)
        assert scope.state().beam_blanked


def test_a_killed_montage_goes_on_without_exposing_finished_tiles_again(tmp_path: Path) -> None:
    script = Path(killed_montage.__file__)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == killed_montage.STANDS_STILL_AFTER:
                process.kill()
                break
        assert process.wait(20) != 0
    finished = finished_steps(tmp_path)
    assert len(finished) == killed_montage.STANDS_STILL_AFTER

    scanned: list[int] = []

    def count(frame: Frame) -> None:
        if frame.header.stream == "haadf":
            scanned.append(frame.header.sequence)

    pictures: list[Progress] = []
    with DirectMicroscope.open(killed_montage.SETTINGS, forward=count) as scope:
        result = run(Montage(killed_montage.PLAN), scope, checkpoint=tmp_path, progress=pictures.append)
    # The origin is a step without a frame.
    assert len(scanned) == 9 - (killed_montage.STANDS_STILL_AFTER - 1)
    assert len(pictures) == 10
    assert error_rms_px(result, of="solved") <= 1.5
