"""JEOL's PyJEM by its published call names, over a stand-in that records calls and knows no other name."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from math import degrees, pi
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.drivers import MoveHaltedError, open_driver
from eucentric_agents.drivers.pyjem import Counts, CountVector
from eucentric_core import (
    AgentSettings,
    CommandRefusedError,
    ConfigurationError,
    EucentricError,
    MoveFailedError,
    UnsupportedError,
)
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    ColumnValve,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAcquire,
    SessionStart,
    StageMove,
    StageStop,
    StageTilt,
    StateGet,
    VectorReport,
)

from ..rig import Opened, OpenInstrument, state_of, wait_until
from .openers import FRAME_PX, PYJEM, STAND_INS, open_pyjem, vendor


@pytest.fixture
def scope(open_instrument: OpenInstrument, tmp_path: Path) -> Opened:
    """The driver over the stand-in, fully calibrated."""
    return open_pyjem(open_instrument, tmp_path)


def calls(*prefixes: str) -> list[tuple[Any, ...]]:
    """Name, arguments and unit of the recorded calls whose names begin so."""
    journal = vendor("vendor_journal").CALLS
    return [(c.name, *c.arguments, c.unit) for c in journal if c.name.startswith(prefixes or ("",))]


def microscope() -> Any:
    """The stand-in's state."""
    return vendor("PyJEM.TEM3").STATE


def test_without_pyjem_the_driver_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(STAND_INS)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "PyJEM"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UnsupportedError, match="needs PyJEM") as refused:
        open_driver(AgentSettings(instrument="pyjem", driver=PYJEM), print)
    assert "comes from JEOL" in refused.value.next_step


def test_it_says_that_it_is_untested_wherever_it_shows(scope: Opened) -> None:
    capabilities = scope.instrument.capabilities
    assert capabilities.untested_on_hardware
    assert "untested on hardware" in capabilities.model
    assert "Untested on hardware" in capabilities.notes
    assert not capabilities.simulated


def test_opening_blanks_the_beam_and_moves_nothing(scope: Opened) -> None:
    changing = [name for name, *_ in calls() if "Set" in name or "set_" in name]
    assert changing == ["Def3.SetBeamBlank"]
    assert microscope().blank == 1
    assert state_of(scope.instrument).beam_blanked


def test_the_stage_is_driven_in_nanometres_and_degrees(scope: Opened) -> None:
    report = scope.instrument.execute(StageMove(x_m=1.5e-6, y_m=-2e-6, z_m=3e-8))
    assert calls("Stage3") == [
        ("Stage3.SetX", pytest.approx(1500), "nm"),
        ("Stage3.SetY", pytest.approx(-2000), "nm"),
        ("Stage3.SetZ", pytest.approx(30), "nm"),
    ]
    assert report == scope.instrument.execute(StageMove(x_m=1.5e-6))
    scope.instrument.execute(StageTilt(alpha_rad=0.1, beta_rad=-0.2))
    assert calls("Stage3.SetTilt") == [
        ("Stage3.SetTiltXAngle", pytest.approx(degrees(0.1)), "degree"),
        ("Stage3.SetTiltYAngle", pytest.approx(degrees(-0.2)), "degree"),
    ]
    stage = state_of(scope.instrument).stage
    assert stage.x_m == pytest.approx(1.5e-6)
    assert stage.alpha_rad == pytest.approx(0.1)


def test_a_move_that_the_microscope_ignores_is_an_error(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    arrival = {"settle_time_s": 0.0, "timeout_s": 0.2}
    scope = open_pyjem(open_instrument, tmp_path, arrival=arrival)
    with pytest.raises(MoveFailedError):
        # Within the limits that were given, beyond the 100 um that PyJEM drives.
        scope.instrument.execute(StageMove(x_m=2e-4))
    microscope().status[0] = 2
    with pytest.raises(EucentricError, match="hardware limit"):
        scope.instrument.execute(StageMove(x_m=1e-5))


def test_without_limits_the_stage_is_read_and_halted_but_not_moved(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    scope = open_pyjem(open_instrument, tmp_path, stage_limits=None)
    verbs = scope.instrument.capabilities.verbs
    assert {"stage.get", "stage.stop"} <= set(verbs)
    assert not {"stage.move", "stage.move_by", "stage.tilt"} & set(verbs)


def test_blanking_and_halting_are_urgent_and_the_safe_state_does_both(scope: Opened) -> None:
    scope.instrument.execute(BeamUnblank(max_duration_s=5))
    assert microscope().blank == 0
    vendor("vendor_journal").CALLS.clear()
    scope.instrument.safe_state()
    assert calls() == [("Def3.SetBeamBlank", 1, ""), ("Stage3.Stop", "")]
    scope.instrument.execute(StageStop())
    scope.instrument.execute(BeamBlank())
    assert calls("Stage3.Stop", "Def3")[-2:] == [("Stage3.Stop", ""), ("Def3.SetBeamBlank", 1, "")]


def test_a_move_along_two_axes_that_is_halted_on_the_first_does_not_start_the_second(scope: Opened) -> None:
    microscope().may_move.clear()
    with ThreadPoolExecutor(1) as other:
        moving = other.submit(scope.instrument.execute, StageMove(x_m=1e-6, y_m=1e-6))
        wait_until(lambda: bool(calls("Stage3.SetX")))
        scope.instrument.execute(StageStop())
        microscope().may_move.set()
        with pytest.raises(MoveHaltedError):
            moving.result(10)
    assert calls("Stage3.SetY") == []
    # Once by the urgent call, and once more after the vendor's own call has returned.
    assert calls("Stage3.Stop") == [("Stage3.Stop", "")] * 2
    scope.instrument.execute(StageMove(y_m=2e-6))


def test_counts_become_metres_by_the_calibration_and_only_by_it(scope: Opened) -> None:
    run = scope.instrument.execute
    focused = run(OpticsDefocus(defocus_m=-2.5e-8))
    assert isinstance(focused, OpticsReport)
    assert focused.reported == pytest.approx(-2.5e-8)
    # xx = 1e-10, xy = 2e-11, yx = -2e-11, yy = 1e-10 metres per count.
    shifted = run(BeamShift(x_m=1.2e-8, y_m=8e-9))
    assert isinstance(shifted, VectorReport)
    assert shifted.reported == pytest.approx((1.2e-8, 8e-9), abs=1e-10)
    run(OpticsStigmator(x_m=1e-8, y_m=-2e-8))
    assert calls("Lens3", "Def3.SetC") == [
        ("Lens3.SetOLc", 32743, "counts"),
        ("Def3.SetCLA1", 32768 + 100, 32768 + 100, "counts"),
        ("Def3.SetCLs", 32100, 32800, "counts"),
    ]
    for command in (OpticsDefocus(defocus_m=9e-5), BeamShift(x_m=9e-5, y_m=0)):
        with pytest.raises(CommandRefusedError, match="counts"):
            run(command)
    assert microscope().objective == 32743


def test_a_control_without_a_record_has_no_verb(open_instrument: OpenInstrument, tmp_path: Path) -> None:
    bare = {"fields_of_view": PYJEM["calibrations"]["fields_of_view"]}  # type: ignore[index]
    scope = open_pyjem(open_instrument, tmp_path, calibrations=bare)
    absent = {
        "auto.focus",
        "beam.park",
        "beam.shift",
        "optics.defocus",
        "optics.stigmator",
        "scan.acquire",
    }
    assert not absent & set(scope.instrument.capabilities.verbs)
    assert state_of(scope.instrument).optics.defocus_m is None
    with pytest.raises(ConfigurationError, match="fields_of_view"):
        open_driver(AgentSettings(instrument="pyjem", driver={"calibrations": {}}), print)


def test_records_that_could_not_be_inverted_are_refused() -> None:
    with pytest.raises(ValueError, match="is 0"):
        Counts(zero_counts=0, m_per_count=0)
    with pytest.raises(ValueError, match="no inverse"):
        CountVector(zero_counts=(0, 0), m_per_count=((1e-9, 2e-9), (2e-9, 4e-9)))


def test_a_field_of_view_is_a_calibrated_one_or_refused(scope: Opened) -> None:
    run = scope.instrument.execute
    assert run(OpticsFieldOfView(field_of_view_m=5e-7)) == OpticsReport(commanded=5e-7, reported=5e-7)
    assert calls("EOS3") == [("EOS3.SetSelector", 10, "index")]
    with pytest.raises(CommandRefusedError) as refused:
        run(OpticsFieldOfView(field_of_view_m=3e-7))
    assert "5e-07, 1e-07" in refused.value.next_step
    microscope().selector = 21
    with pytest.raises(EucentricError, match="no calibration record"):
        run(StateGet())


def test_a_scan_is_set_up_in_order_and_its_raw_bytes_become_a_frame(scope: Opened) -> None:
    run = scope.instrument.execute
    run(SessionStart(session="s"))
    vendor("vendor_journal").CALLS.clear()
    run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX, dwell_time_s=5e-6))
    assert calls("s") == [
        ("set_scanmode", 0, "0 scan, 1 area, 3 spot"),
        ("set_imaging_area", FRAME_PX, FRAME_PX, 0, 0, "px"),
        ("set_exposuretime_value", pytest.approx(5.0), "us"),
        ("snapshot_rawdata", "ADF1", ""),
    ]
    (frame,) = scope.of("haadf")
    assert frame.array.dtype.name == "uint16"
    assert frame.array.shape == (FRAME_PX, FRAME_PX)
    assert frame.header.pixel_size_m == pytest.approx(1e-7 / FRAME_PX)
    assert frame.header.optics.high_tension_v == 200e3
    with pytest.raises(CommandRefusedError, match="32 x 32"):
        run(ScanAcquire(height_px=32, width_px=32))
    with pytest.raises(CommandRefusedError, match="dwell time"):
        run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX, dwell_time_s=2e-3))
    microscope().stem = 0
    with pytest.raises(CommandRefusedError, match="not in STEM mode"):
        run(ScanAcquire(height_px=FRAME_PX, width_px=FRAME_PX))


def test_probe_rotation_focus_and_valve_by_their_names(scope: Opened) -> None:
    run = scope.instrument.execute
    run(BeamPark(y_fraction=1.0, x_fraction=0.5))
    assert calls("set_scanmode", "set_spot") == [
        ("set_scanmode", 3, "0 scan, 1 area, 3 spot"),
        ("set_spotposition", 256, 511, "px"),
    ]
    turned = run(OpticsScanRotation(rotation_rad=-pi / 2))
    assert calls("set_scanrotation") == [("set_scanrotation", pytest.approx(270.0), "degree")]
    assert isinstance(turned, OpticsReport)
    assert turned.reported == pytest.approx(-pi / 2)
    with pytest.raises(CommandRefusedError, match="beam is blanked"):
        run(AutoFocus())
    run(BeamUnblank(max_duration_s=5))
    run(AutoFocus())
    assert calls("AutoFocus") == [("AutoFocus", "ADF1", "")]
    run(ColumnValve(open=True))
    assert calls("FEG3") == [("FEG3.SetBeamValve", 1, "")]


def test_several_detectors_and_none_chosen(open_instrument: OpenInstrument, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none is called HAADF") as refused:
        open_pyjem(open_instrument, tmp_path, scan_detector=None)
    assert "ADF1, BF" in refused.value.next_step
