"""Thermo Fisher's scripting through temscript's own HTTP server, with its null microscope behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_agents.drivers import open_driver
from eucentric_core import (
    AgentSettings,
    BusyError,
    CommandRefusedError,
    ConfigurationError,
    EucentricError,
    MoveFailedError,
    ServiceUnavailableError,
)
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAcquire,
    ScanStream,
    SessionStart,
    StageGet,
    StageMove,
    StageMoveBy,
    StageTilt,
    StateGet,
    VectorReport,
)

from ..rig import Opened, OpenInstrument, state_of, wait_until
from .openers import FRAME_PX, StemMicroscope, open_temscript, open_temscript_stem, temscript_server


@pytest.fixture
def microscope() -> StemMicroscope:
    """The microscope behind the server."""
    return StemMicroscope()


@pytest.fixture
def address(microscope: StemMicroscope) -> Iterator[str]:
    """temscript's own server around it."""
    with temscript_server(microscope) as address:
        yield address
        microscope.may_answer.set()


@pytest.fixture
def scope(address: str, open_instrument: OpenInstrument) -> Opened:
    """The driver, connected to that server."""
    return open_temscript_stem(open_instrument, address)


def refused_at_opening(**options: Any) -> pytest.ExceptionInfo[EucentricError]:
    """The error that opening a driver with these options ends in."""
    with pytest.raises(EucentricError) as refused:
        open_driver(AgentSettings(instrument="temscript", driver=options), print)
    return refused


def test_the_null_microscope_runs_in_its_own_process_says_simulated_and_is_blanked_first(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    opened = open_temscript(open_instrument, tmp_path)
    capabilities = opened.instrument.capabilities
    assert capabilities.simulated
    assert "SIMULATED" in capabilities.model
    assert not capabilities.untested_on_hardware
    # It wakes up with the beam on.
    assert state_of(opened.instrument).beam_blanked
    assert capabilities.cameras == ("CCD",)
    # Neither a detector nor a calibration: these verbs do not exist.
    absent = {"scan.acquire", "scan.stream", "optics.field_of_view", "optics.stigmator", "stage.stop"}
    assert not absent & set(capabilities.verbs)
    opened.instrument.execute(SessionStart(session="s"))
    opened.instrument.execute(CameraAcquire(camera="CCD", exposure_s=0.01, binning=8))
    (frame,) = opened.frames
    assert frame.array.shape == (256, 256)
    assert not frame.array.any()
    assert [(axis.unit, axis.scale) for axis in frame.header.axes] == [("px", 8.0)] * 2
    assert frame.header.simulated


def test_either_an_address_or_the_simulation() -> None:
    for options in ({}, {"simulated": True, "address": "127.0.0.1:8080"}):
        assert "either an address, or simulated" in refused_at_opening(**options).value.what


def test_what_is_driven_and_read_is_in_metres_and_radians(scope: Opened, microscope: StemMicroscope) -> None:
    run = scope.instrument.execute
    moved = run(StageMove(x_m=1e-5, y_m=-2e-5))
    assert isinstance(moved, MoveReport)
    assert moved.commanded == moved.reported
    assert microscope.get_stage_position() == {"x": 1e-5, "y": -2e-5, "z": 0.0, "a": 0.0, "b": 0.0}
    run(StageTilt(alpha_rad=0.2))
    run(StageMoveBy(dx_m=-3e-5))
    position = microscope.get_stage_position()
    assert (position["x"], position["a"]) == (pytest.approx(-2e-5), 0.2)
    assert run(BeamShift(x_m=1e-9, y_m=2e-9)) == VectorReport(commanded=(1e-9, 2e-9), reported=(1e-9, 2e-9))
    assert microscope.get_beam_shift() == (1e-9, 2e-9)
    assert run(OpticsDefocus(defocus_m=-5e-8)) == OpticsReport(commanded=-5e-8, reported=-5e-8)
    assert microscope.get_probe_defocus() == -5e-8
    run(OpticsScanRotation(rotation_rad=0.5))
    run(OpticsFieldOfView(field_of_view_m=2e-7))
    assert (microscope.get_stem_rotation(), microscope.get_stem_magnification()) == (0.5, 0.1 / 2e-7)
    optics = state_of(scope.instrument).optics
    assert optics.high_tension_v == 200e3
    assert optics.field_of_view_m == pytest.approx(2e-7)
    assert (optics.defocus_m, optics.scan_rotation_rad, optics.convergence_angle_rad) == (-5e-8, 0.5, 0.01)
    run(ColumnValve(open=True))
    assert microscope.get_column_valves_open()


def test_beyond_the_stages_own_limits_nothing_is_sent_although_temscript_would_clip(
    scope: Opened, microscope: StemMicroscope
) -> None:
    limits = scope.instrument.capabilities.stage_limits
    assert limits.x_m == (-1e-3, 1e-3)
    # The holder has one tilt.
    assert limits.beta_rad is None
    for command in (StageMove(x_m=np.nextafter(1e-3, 1)), StageMove(y_m=-2e-3), StageTilt(beta_rad=0.1)):
        with pytest.raises(CommandRefusedError):
            scope.instrument.execute(command)
    assert set(microscope.get_stage_position().values()) == {0.0}
    scope.instrument.execute(StageMove(x_m=1e-3))
    with pytest.raises(CommandRefusedError):
        scope.instrument.execute(StageMoveBy(dx_m=1e-9))


def test_the_settings_can_only_narrow_the_limits(address: str, open_instrument: OpenInstrument) -> None:
    envelope = {"x_m": [-1e-4, 4e-3], "beta_rad": [-0.1, 0.1]}
    limits = open_temscript_stem(
        open_instrument, address, stage_limits=envelope
    ).instrument.capabilities.stage_limits
    assert (limits.x_m, limits.y_m, limits.beta_rad) == ((-1e-4, 1e-3), (-1e-3, 1e-3), None)


def test_a_stage_that_stops_short_is_an_error_that_says_where_it_stands(
    address: str, open_instrument: OpenInstrument, microscope: StemMicroscope
) -> None:
    microscope.reach_m = 2e-4
    arrival = {"settle_time_s": 0.0, "timeout_s": 0.2}
    instrument = open_temscript_stem(open_instrument, address, arrival=arrival).instrument
    with pytest.raises(MoveFailedError) as failed:
        instrument.execute(StageMove(x_m=5e-4))
    assert failed.value.details["commanded"] == {
        "x_m": 5e-4,
        "y_m": 0.0,
        "z_m": 0.0,
        "alpha_rad": 0.0,
        "beta_rad": 0.0,
    }
    report = instrument.execute(StageGet())
    assert isinstance(report, MoveReport)
    # From here a relative move starts where the stage stands, not where it should have been.
    assert report.commanded.x_m == report.reported.x_m == 2e-4


def test_scanned_frames_are_calibrated_and_carry_their_dose(
    address: str, open_instrument: OpenInstrument
) -> None:
    opened = open_temscript_stem(open_instrument, address, beam_current_a=1e-11)
    opened.instrument.execute(OpticsFieldOfView(field_of_view_m=6.4e-9))
    opened.instrument.execute(SessionStart(session="s", sample="flake"))
    opened.instrument.execute(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX, dwell_time_s=2e-6))
    header = opened.of("haadf")[0].header
    assert header.shape == (FRAME_PX, FRAME_PX)
    assert header.pixel_size_m == pytest.approx(1e-10)
    assert header.dose_e_per_a2 == pytest.approx(1e-11 * 2e-6 / 1.602176634e-19)
    assert (header.sample, header.optics.dwell_time_s) == ("flake", 2e-6)


def test_frames_that_the_detector_cannot_do_are_refused_with_those_it_can(scope: Opened) -> None:
    scope.instrument.execute(SessionStart(session="s"))
    for height, width in ((100, 100), (64, 32)):
        with pytest.raises(CommandRefusedError) as refused:
            scope.instrument.execute(ScanAcquire(height_px=height, width_px=width))
        assert "32, 64, 128, 256" in refused.value.next_step


def test_a_dwell_time_that_was_clipped_is_an_error(scope: Opened, microscope: StemMicroscope) -> None:
    microscope.longest_dwell_s = 1e-6
    scope.instrument.execute(SessionStart(session="s"))
    with pytest.raises(EucentricError, match="dwell time was set to 2e-06 and is reported as 1e-06"):
        scope.instrument.execute(ScanAcquire(height_px=64, width_px=64, dwell_time_s=2e-6))
    assert scope.frames == []


def test_valves_stay_closed_until_the_vacuum_is_ready(scope: Opened, microscope: StemMicroscope) -> None:
    microscope.vacuum_status = "BUSY"
    with pytest.raises(CommandRefusedError, match="vacuum is not ready"):
        scope.instrument.execute(ColumnValve(open=True))
    assert not microscope.get_column_valves_open()
    microscope.vacuum_status = "READY"
    scope.instrument.execute(ColumnValve(open=True))
    microscope.vacuum_status = "BUSY"
    # Closing is always allowed.
    scope.instrument.execute(ColumnValve(open=False))
    assert not microscope.get_column_valves_open()


def test_raw_values_without_a_record_have_no_verb_and_with_one_they_are_converted(
    open_instrument: OpenInstrument,
) -> None:
    microscope = StemMicroscope(family="TECNAI")
    with temscript_server(microscope) as address:
        refused = refused_at_opening(address=address)
        assert isinstance(refused.value, ConfigurationError)
        assert "field_width_at_magnification_1_m" in refused.value.next_step
        width = {"field_width_at_magnification_1_m": 0.1}
        bare = open_temscript_stem(open_instrument, address, calibrations=width).instrument.capabilities
        assert not {"optics.defocus", "optics.stigmator", "scan.acquire"} & set(bare.verbs)
        assert bare.untested_on_hardware
        assert "untested on hardware" in bare.model
        tem_only = {"tem_field_width_at_magnification_1_m": 0.2}
        illuminated = open_temscript_stem(open_instrument, address, calibrations=tem_only).instrument
        assert not {"optics.field_of_view", "scan.acquire"} & set(illuminated.capabilities.verbs)
        # The width of what TEM mode shows says nothing about a scan.
        with pytest.raises(EucentricError, match="STEM mode the field of view is not known"):
            illuminated.execute(StateGet())
        records = {**width, "defocus_m_per_unit": 1e-6, "stigmator_m_per_unit": 2e-8}
        known = open_temscript_stem(open_instrument, address, calibrations=records).instrument
        known.execute(OpticsDefocus(defocus_m=5e-7))
        known.execute(OpticsStigmator(x_m=1e-8, y_m=-1e-8))
        assert microscope.get_defocus() == pytest.approx(0.5)
        assert microscope.get_condenser_stigmator() == (0.5, -0.5)


def test_an_exposure_during_which_the_beam_could_not_be_blanked_in_time_is_refused(scope: Opened) -> None:
    """temscript's server answers one call at a time."""
    scope.instrument.execute(SessionStart(session="s"))
    assert "one call at a time" in scope.instrument.capabilities.notes
    for command in (
        CameraAcquire(camera="CCD", exposure_s=0.41),
        ScanAcquire(height_px=256, width_px=256, dwell_time_s=1e-5),
    ):
        with pytest.raises(CommandRefusedError, match="could not be blanked meanwhile"):
            scope.instrument.execute(command)


@pytest.mark.alone
def test_while_the_server_hangs_blanking_fails_in_time_and_takes_effect_afterwards(
    scope: Opened, microscope: StemMicroscope
) -> None:
    run = scope.instrument.execute
    run(SessionStart(session="s"))
    run(BeamUnblank(max_duration_s=60))
    microscope.may_answer.clear()
    microscope.acquiring.clear()
    with ThreadPoolExecutor(1) as other:
        scanning = other.submit(run, ScanAcquire(height_px=64, width_px=64))
        assert microscope.acquiring.wait(30)
        began_s = time.monotonic()
        with pytest.raises(EucentricError):
            scope.instrument.safe_state()
        assert time.monotonic() - began_s < 3
        assert not microscope.get_beam_blanked()
        microscope.may_answer.set()
        scanning.result(10)
    wait_until(microscope.get_beam_blanked)
    wait_until(lambda: not state_of(scope.instrument).scanning)
    run(BeamBlank())


def test_with_a_second_server_for_urgent_calls_a_hanging_acquisition_is_blanked(
    address: str, open_instrument: OpenInstrument, microscope: StemMicroscope
) -> None:
    with temscript_server(microscope) as second:
        opened = open_temscript_stem(open_instrument, address, urgent_address=second)
        run = opened.instrument.execute
        run(SessionStart(session="s"))
        run(BeamUnblank(max_duration_s=60))
        microscope.may_answer.clear()
        microscope.acquiring.clear()
        run(ScanStream(height_px=64, width_px=64))
        assert microscope.acquiring.wait(30)
        opened.instrument.safe_state()
        assert microscope.get_beam_blanked()
        microscope.may_answer.set()
        wait_until(lambda: not state_of(opened.instrument).scanning)
        opened.instrument.close()


def test_a_server_that_is_gone_is_said_at_once_and_found_again_with_the_beam_blanked_first(
    open_instrument: OpenInstrument,
) -> None:
    first = StemMicroscope()
    with temscript_server(first) as address:
        instrument = open_temscript_stem(open_instrument, address).instrument
        instrument.execute(StageMove(x_m=1e-6))
    for command in (StateGet(), StageMove(x_m=2e-6), BeamBlank()):
        with pytest.raises(ServiceUnavailableError, match="does not answer"):
            instrument.execute(command)
    # A restarted null microscope has its beam on, like an instrument somebody used meanwhile.
    second = StemMicroscope()
    with temscript_server(second, port=int(address.rpartition(":")[2])):
        assert state_of(instrument).beam_blanked
        assert second.get_beam_blanked()
        instrument.execute(StageMove(x_m=2e-6))
        assert second.get_stage_position()["x"] == 2e-6
        instrument.close()


def test_nobody_listens_there() -> None:
    refused = refused_at_opening(address="127.0.0.1:9", calibrations={"stem_full_frame_px": 256})
    assert isinstance(refused.value, ServiceUnavailableError)


def test_two_scans_at_once_and_unknown_cameras_are_refused(scope: Opened, microscope: StemMicroscope) -> None:
    run = scope.instrument.execute
    run(SessionStart(session="s"))
    with pytest.raises(CommandRefusedError, match="no camera"):
        run(CameraAcquire(camera="Ceta", exposure_s=0.1))
    run(ScanStream(height_px=64, width_px=64))
    with pytest.raises(BusyError):
        run(CameraAcquire(camera="CCD", exposure_s=0.1))
    scope.instrument.abort()
    wait_until(lambda: not state_of(scope.instrument).scanning)
    assert microscope.get_beam_blanked()
