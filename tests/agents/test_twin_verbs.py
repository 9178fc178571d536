"""The twin's less common verbs do to the picture and to the dose what they do on a microscope."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_core import CommandRefusedError, EucentricError, Frame
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAcquire,
    SessionStart,
    SpectrumAcquire,
    StageMove,
    StageMoveBy,
    StageTilt,
    VectorReport,
)

from .rig import Opened, OpenTwin, state_of, wait_until

STILL = {"extent_m": 20e-9, "drift_m_per_s": [0.0, 0.0], "knock_on_cross_section_m2": 0.0}
EXACT = {
    "backlash_m": 0.0,
    "repeatability_m": 0.0,
    "settle_time_s": 0.0,
    "speed_m_per_s": 1e-3,
    "tilt_backlash_rad": 0.0,
    "tilt_repeatability_rad": 0.0,
    "tilt_speed_rad_per_s": 100.0,
}
SCAN = ScanAcquire(height_px=128, width_px=128)
PIXEL_M = 4e-9 / 128


def ready(twin: OpenTwin, **options: Any) -> Opened:
    """A still twin with an exact stage, a session and the beam on."""
    column = {"beam_shift_error": 0.0, "autofocus_time_s": 0.0, **options.pop("column", {})}
    opened = twin(**{"specimen": STILL, "stage": EXACT, "column": column, **options})
    opened.instrument.execute(SessionStart(session="s"))
    opened.instrument.execute(BeamUnblank(max_duration_s=600))
    return opened


def truth(opened: Opened) -> NDArray[np.float32]:
    """Places of the columns in a new frame, in pixels from its middle."""
    opened.instrument.execute(SCAN)
    rows = cast(NDArray[np.float32], opened.of("truth")[-1].array)
    return rows[:, :2] - np.float32(63.5)


def misfit_px(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Largest distance of an expected place that lies well inside the frame from the nearest found one."""
    inside = expected[np.abs(expected).max(axis=1) < 55]
    assert len(inside) > 20
    return float(np.linalg.norm(inside[:, None] - found[None], axis=2).min(axis=1).max())


def last(opened: Opened, stream: str) -> Frame:
    return opened.of(stream)[-1]


def test_a_relative_move_counts_from_the_last_commanded_position(twin: OpenTwin) -> None:
    instrument = ready(twin).instrument
    instrument.execute(StageMove(x_m=1e-9, y_m=2e-9))
    instrument.execute(StageMoveBy(dx_m=0.5e-9))
    instrument.execute(StageMoveBy(dx_m=0.5e-9, dy_m=-3e-9))
    assert state_of(instrument).stage.x_m == pytest.approx(2e-9)
    assert state_of(instrument).stage.y_m == pytest.approx(-1e-9)
    with pytest.raises(CommandRefusedError, match="range"):
        instrument.execute(StageMoveBy(dx_m=9e-9))
    assert state_of(instrument).stage.x_m == pytest.approx(2e-9)


def test_the_beam_shift_moves_the_field_on_the_specimen_but_for_its_calibration_error(
    twin: OpenTwin,
) -> None:
    for error in (0.0, 0.2):
        opened = ready(twin, column={"beam_shift_error": error})
        before = truth(opened)
        report = opened.instrument.execute(BeamShift(x_m=10 * PIXEL_M, y_m=-5 * PIXEL_M))
        assert isinstance(report, VectorReport)
        assert report.commanded == report.reported
        shift = np.array([-5, 10], np.float32) * np.float32(1 + error)
        assert misfit_px(before - shift, truth(opened)) < 0.01


def test_the_scan_rotation_turns_the_field(twin: OpenTwin) -> None:
    opened = ready(twin)
    before = truth(opened)
    report = opened.instrument.execute(OpticsScanRotation(rotation_rad=0.4))
    assert cast(OpticsReport, report).unit == "rad"
    c, s = np.cos(0.4), np.sin(0.4)
    turned = before @ np.array([[c, -s], [s, c]], np.float32).T
    assert misfit_px(turned, truth(opened)) < 0.01
    assert last(opened, "haadf").header.optics.scan_rotation_rad == 0.4


def test_a_tilt_foreshortens_the_specimen(twin: OpenTwin) -> None:
    opened = ready(twin)
    before = truth(opened)
    opened.instrument.execute(StageTilt(alpha_rad=0.5, beta_rad=-0.3))
    found = truth(opened)
    assert misfit_px(before * np.cos([0.5, -0.3]).astype(np.float32), found) < 0.02
    assert last(opened, "haadf").header.stage.alpha_rad == pytest.approx(0.5)
    opened.instrument.execute(StageTilt(alpha_rad=0.0, beta_rad=0.0))
    np.testing.assert_allclose(truth(opened), before, atol=1e-3)
    with pytest.raises(CommandRefusedError, match="alpha"):
        opened.instrument.execute(StageTilt(alpha_rad=1.0))


def test_the_stigmator_stretches_the_probe(twin: OpenTwin) -> None:
    opened = ready(twin)
    sharp = last_variance(opened)
    report = opened.instrument.execute(OpticsStigmator(x_m=6e-9, y_m=8e-9))
    assert cast(VectorReport, report).reported == pytest.approx((6e-9, 8e-9))
    assert last_variance(opened) < 0.6 * sharp
    opened.instrument.execute(OpticsStigmator(x_m=0, y_m=0))
    assert last_variance(opened) > 0.9 * sharp


def last_variance(opened: Opened) -> float:
    opened.instrument.execute(SCAN)
    return float(last(opened, "haadf").array.astype(float).var())


def test_the_automatic_focus_finds_focus_at_any_height_and_needs_the_beam(twin: OpenTwin) -> None:
    opened = ready(twin, column={"autofocus_error_m": 1e-9})
    opened.instrument.execute(StageMove(z_m=30e-9))
    opened.instrument.execute(OpticsDefocus(defocus_m=50e-9))
    report = cast(OpticsReport, opened.instrument.execute(AutoFocus()))
    assert report.reported == pytest.approx(-30e-9, abs=5e-9)
    assert report.reported != -30e-9
    opened.instrument.execute(BeamBlank())
    with pytest.raises(CommandRefusedError, match="sees nothing"):
        opened.instrument.execute(AutoFocus())


def test_the_automatic_focus_can_be_aborted_and_its_dose_counts(twin: OpenTwin) -> None:
    opened = ready(twin, column={"autofocus_time_s": 60})
    instrument = opened.instrument
    instrument.execute(OpticsDefocus(defocus_m=5e-9))
    failures: list[str] = []

    def focus() -> None:
        try:
            instrument.execute(AutoFocus())
        except EucentricError as error:
            failures.append(error.code)

    thread = threading.Thread(target=focus)
    thread.start()
    wait_until(lambda: state_of(instrument).scanning)
    instrument.abort()
    thread.join(10)
    assert failures == ["scan_aborted"]
    assert state_of(instrument).optics.defocus_m == 5e-9
    assert (state_of(instrument).dose_e_per_a2 or 0) > 0


def test_a_closed_valve_is_as_dark_as_a_blanked_beam(twin: OpenTwin) -> None:
    opened = ready(twin)
    opened.instrument.execute(ColumnValve(open=False))
    truth(opened)
    dark = last(opened, "haadf")
    assert dark.array.mean() == pytest.approx(500, abs=1)
    assert (dark.header.dose_e_per_a2, dark.header.optics.beam_current_a) == (0, 0)
    assert not state_of(opened.instrument).beam_blanked
    opened.instrument.execute(ColumnValve(open=True))
    assert len(truth(opened)) > 50


def test_a_parked_probe_doses_its_spot_until_it_is_blanked(twin: OpenTwin) -> None:
    # A wide spot in a small field, so that some columns lie in it.
    opened = ready(twin, column={"probe_sigma_m": 2e-10, "field_of_view_m": 2e-9})
    instrument = opened.instrument
    assert state_of(instrument).dose_e_per_a2 == 0
    instrument.execute(BeamPark(y_fraction=0.25, x_fraction=0.5))
    wait_until(lambda: (state_of(instrument).dose_e_per_a2 or 0) > 0)
    instrument.execute(BeamBlank())
    blanked = state_of(instrument).dose_e_per_a2
    assert state_of(instrument).dose_e_per_a2 == blanked
    instrument.execute(StageMove(x_m=5e-9))
    assert state_of(instrument).dose_e_per_a2 == 0


def test_the_ronchigram_shows_the_specimen_out_of_focus_and_goes_dark_with_the_beam(twin: OpenTwin) -> None:
    opened = ready(twin, material="gold_on_carbon", specimen={**STILL, "extent_m": 4e-7})
    pictures = []
    for defocus_m in (0.0, 4e-7):
        opened.instrument.execute(OpticsDefocus(defocus_m=defocus_m))
        opened.instrument.execute(CameraAcquire(camera="ronchigram", exposure_s=0.1))
        pictures.append(last(opened, "ronchigram").array.astype(float))
    lit = slice(100, 156)
    contrast = [picture[lit, lit].std() / picture[lit, lit].mean() for picture in pictures]
    assert contrast[1] > 1.3 * contrast[0]
    assert pictures[0][lit, lit].mean() > 20 * pictures[0][:10, :10].mean()
    header = last(opened, "ronchigram").header
    assert [axis.unit for axis in header.axes] == ["rad", "rad"]
    assert (header.dose_e_per_a2 or 0) > 0
    opened.instrument.execute(CameraAcquire(camera="ronchigram", exposure_s=0.1, binning=4))
    assert last(opened, "ronchigram").array.shape == (64, 64)
    opened.instrument.execute(BeamBlank())
    opened.instrument.execute(CameraAcquire(camera="ronchigram", exposure_s=0.1))
    dark = last(opened, "ronchigram")
    assert dark.array.mean() < 1
    assert dark.header.dose_e_per_a2 == 0


def test_a_spectrum_has_its_zero_loss_peak_at_zero_and_a_plasmon(twin: OpenTwin) -> None:
    opened = ready(twin, material="gold_on_carbon", specimen={**STILL, "extent_m": 1e-6})
    opened.instrument.execute(SpectrumAcquire(spectrometer="eels", exposure_s=0.1))
    frame = last(opened, "eels")
    axis = frame.header.axes[0]
    energy = axis.offset + axis.scale * np.arange(frame.array.shape[0])
    counts = frame.array.astype(float)
    assert axis.unit == "eV"
    assert abs(energy[counts.argmax()]) <= axis.scale
    loss = energy > 8
    assert energy[loss][counts[loss].argmax()] == pytest.approx(23, abs=4)
    assert counts[loss].sum() < counts.sum() / 2
    for unknown in (
        SpectrumAcquire(spectrometer="eds", exposure_s=0.1),
        CameraAcquire(camera="ccd", exposure_s=0.1),
        CameraAcquire(camera="ronchigram", exposure_s=0.1, binning=3),
    ):
        with pytest.raises(CommandRefusedError):
            opened.instrument.execute(unknown)


def test_a_frame_that_is_blanked_on_the_way_is_dark_from_there_on(twin: OpenTwin) -> None:
    opened = ready(twin, real_time=True)
    slow = ScanAcquire(height_px=128, width_px=128, dwell_time_s=60 / 128**2)
    opened.instrument.execute(OpticsFieldOfView(field_of_view_m=4e-9))
    thread = threading.Thread(target=opened.instrument.execute, args=(slow,))
    thread.start()
    wait_until(lambda: state_of(opened.instrument).scanning)
    wait_until(lambda: state_of(opened.instrument).scanning, within_s=1)
    opened.instrument.safe_state()
    thread.join(10)
    image = last(opened, "haadf")
    full_dose = 30e-12 * slow.dwell_time_s / 1.602e-19 / (PIXEL_M * 1e10) ** 2
    assert 0 <= (image.header.dose_e_per_a2 or 0) < 0.5 * full_dose
    assert image.array[64:].mean() == pytest.approx(500, abs=1)


def test_a_landscape_is_a_specimen_like_any_other_only_larger(twin: OpenTwin) -> None:
    opened = ready(
        twin,
        material="gold_on_carbon",
        specimen={"extent_m": 4e-6, "drift_m_per_s": [0.0, 0.0]},
        column={"field_of_view_m": 4e-7},
    )
    capabilities = opened.instrument.capabilities
    assert (capabilities.max_field_of_view_m, capabilities.stage_limits.x_m) == (4e-6, (-2e-6, 2e-6))
    opened.instrument.execute(SCAN)
    dose = last(opened, "haadf").header.dose_e_per_a2
    assert state_of(opened.instrument).dose_e_per_a2 == pytest.approx(dose, rel=0.01)
    opened.instrument.execute(StageMove(x_m=1.2e-6))
    assert state_of(opened.instrument).dose_e_per_a2 == 0
    opened.instrument.execute(OpticsScanRotation(rotation_rad=0.7))
    opened.instrument.execute(SCAN)
    turned = last(opened, "haadf")
    assert turned.header.material == "gold_on_carbon"
    assert state_of(opened.instrument).dose_e_per_a2 == pytest.approx(turned.header.dose_e_per_a2, rel=0.1)
    assert set(last(opened, "truth").header.classes) == {"particle", "cluster", "seed"}
    with pytest.raises(CommandRefusedError):
        opened.instrument.execute(OpticsFieldOfView(field_of_view_m=5e-6))
