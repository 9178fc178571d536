"""AutoScript TEM by its published call names, over a stand-in that records calls and knows no other name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.drivers import open_driver
from eucentric_core import AgentSettings, CommandRefusedError, EucentricError, UnsupportedError
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    ScanAcquire,
    SessionStart,
    StageMove,
    StageTilt,
    StateGet,
    VectorReport,
)

from ..rig import Opened, OpenInstrument, state_of
from .openers import FRAME_PX, STAND_INS, fresh, open_autoscript, vendor

CLIENT = "autoscript_tem_microscope_client"


@pytest.fixture
def scope(open_instrument: OpenInstrument, tmp_path: Path) -> Opened:
    """The driver over the stand-in."""
    return open_autoscript(open_instrument, tmp_path)


def calls(*prefixes: str) -> list[tuple[Any, ...]]:
    """Name and arguments of the recorded calls whose names begin so."""
    journal = vendor("vendor_journal").CALLS
    return [(c.name, *c.arguments) for c in journal if c.name.startswith(prefixes or ("",))]


def position(**axes: float) -> Any:
    """AutoScript's own structure."""
    return vendor(f"{CLIENT}.structures").StagePosition(**axes)


def test_without_the_client_the_driver_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(STAND_INS)])
    for name in [name for name in sys.modules if name.partition(".")[0] == CLIENT]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UnsupportedError, match=f"needs {CLIENT}") as refused:
        open_driver(AgentSettings(instrument="autoscript"), print)
    assert "Thermo Fisher" in refused.value.next_step


def test_it_says_that_it_is_untested_wherever_it_shows(scope: Opened) -> None:
    capabilities = scope.instrument.capabilities
    assert capabilities.untested_on_hardware
    assert capabilities.model == "Spectra 1.0 through AutoScript TEM (untested on hardware)"
    assert "Untested on hardware" in capabilities.notes
    # Nothing published halts an absolute move, and the units of the stigmators are not published.
    assert not {"stage.stop", "optics.stigmator"} & set(capabilities.verbs)


def test_opening_connects_and_blanks_and_closing_disconnects_every_client(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    scope = open_autoscript(open_instrument, tmp_path, host="10.0.0.1", port=9095)
    assert set(calls("connect")) == {("connect", "10.0.0.1", 9095)}
    assert [name for name, *_ in calls() if name != "connect"] == ["blank"]
    assert state_of(scope.instrument).beam_blanked
    scope.instrument.close()
    assert vendor(CLIENT).STATE.connected == 0


def test_the_stage_is_driven_in_metres_and_radians_and_waited_for(scope: Opened) -> None:
    vendor(CLIENT).STATE.looks_until_still = 4
    report = scope.instrument.execute(StageMove(x_m=1e-5, z_m=-2e-6))
    scope.instrument.execute(StageTilt(alpha_rad=0.3))
    assert calls("absolute_move_safe") == [
        ("absolute_move_safe", position(x=1e-5, z=-2e-6)),
        ("absolute_move_safe", position(a=0.3)),
    ]
    assert isinstance(report, MoveReport)
    assert report.reported.x_m == 1e-5
    assert vendor(CLIENT).STATE.moving == 0


def test_the_limits_are_the_microscopes_own_and_its_holders(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    limits = open_autoscript(open_instrument, tmp_path).instrument.capabilities.stage_limits
    assert (limits.x_m, limits.alpha_rad, limits.beta_rad) == ((-1e-3, 1e-3), (-1.2, 1.2), None)
    (client,) = fresh(CLIENT)
    client.STATE.holder = "DoubleTilt"
    client.STATE.position.b = 0.0
    two_tilts = open_instrument("autoscript", {}).instrument
    assert two_tilts.capabilities.stage_limits.beta_rad == (-0.5, 0.5)
    with pytest.raises(CommandRefusedError):
        two_tilts.execute(StageTilt(beta_rad=0.51))
    assert calls("absolute_move") == []


def test_optics_need_no_conversion(scope: Opened) -> None:
    run = scope.instrument.execute
    assert run(OpticsDefocus(defocus_m=-3e-8)) == OpticsReport(commanded=-3e-8, reported=-3e-8)
    assert run(BeamShift(x_m=1e-9, y_m=2e-9)) == VectorReport(commanded=(1e-9, 2e-9), reported=(1e-9, 2e-9))
    run(OpticsFieldOfView(field_of_view_m=2e-8))
    run(OpticsScanRotation(rotation_rad=0.25))
    run(BeamPark(y_fraction=0.1, x_fraction=0.9))
    assert calls()[-5:] == [
        ("defocus", -3e-8),
        ("beam_shift", 1e-9, 2e-9),
        ("scan_field_of_view", 2e-8),
        ("scan_rotation", 0.25),
        ("paused_scan_beam_position", [0.9, 0.1]),
    ]
    optics = state_of(scope.instrument).optics
    assert (optics.field_of_view_m, optics.scan_rotation_rad, optics.high_tension_v) == (2e-8, 0.25, 200e3)
    vendor(CLIENT).STATE.optics["optical_mode"] = "Tem"
    with pytest.raises(EucentricError, match="not in STEM mode"):
        run(StateGet())


def test_scans_and_cameras_in_pixels_and_seconds(scope: Opened) -> None:
    run = scope.instrument.execute
    run(SessionStart(session="s"))
    run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX, dwell_time_s=5e-8))
    run(CameraAcquire(camera="BM-Ceta", exposure_s=0.2, binning=4))
    assert calls("acquire") == [
        ("acquire_stem_image", "HAADF", FRAME_PX, 5e-8),
        ("acquire_camera_image", "BM-Ceta", 32, 0.2),
    ]
    assert [(f.header.stream, f.header.sequence) for f in scope.frames] == [("haadf", 0), ("bm-ceta", 1)]
    assert scope.frames[0].header.pixel_size_m == pytest.approx(1e-7 / FRAME_PX)
    # The size of the other camera's frames is not in the options.
    assert scope.instrument.capabilities.cameras == ("BM-Ceta",)
    with pytest.raises(CommandRefusedError, match="no camera"):
        run(CameraAcquire(camera="Flucam", exposure_s=0.2))
    with pytest.raises(CommandRefusedError, match="binning 3"):
        run(CameraAcquire(camera="BM-Ceta", exposure_s=0.2, binning=3))


def test_a_vendor_function_that_unblanks_by_itself_is_blanked_again_and_publishes_nothing(
    scope: Opened,
) -> None:
    run = scope.instrument.execute
    run(SessionStart(session="s"))
    vendor(CLIENT).STATE.unblanks_to_image = True
    with pytest.raises(EucentricError, match="let the beam through"):
        run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX))
    assert vendor(CLIENT).STATE.blanked
    assert scope.frames == []
    run(BeamUnblank(max_duration_s=5))
    run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX))
    assert len(scope.frames) == 1


def test_focusing_needs_the_beam_and_reports_what_it_found(scope: Opened) -> None:
    run = scope.instrument.execute
    with pytest.raises(CommandRefusedError, match="beam is blanked"):
        run(AutoFocus())
    run(BeamUnblank(max_duration_s=5))
    assert run(AutoFocus()) == OpticsReport(commanded=-1.5e-8, reported=-1.5e-8)
    ((_name, settings),) = calls("run_stem_auto_focus")
    assert (settings.scanning_detector, settings.size, settings.dwell_time) == ("HAADF", 512, 2e-6)


def test_the_safe_state_blanks_and_ends_a_jog(scope: Opened) -> None:
    scope.instrument.execute(BeamUnblank(max_duration_s=5))
    scope.instrument.execute(ColumnValve(open=True))
    vendor("vendor_journal").CALLS.clear()
    scope.instrument.safe_state()
    assert calls() == [("blank",), ("stop_jogging",)]
    # Closing a valve is a hazard of its own: the safe state leaves it.
    assert vendor(CLIENT).STATE.valves == "Opened"
