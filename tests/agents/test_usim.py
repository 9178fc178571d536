"""Nion's simulator behind the vocabulary: its scan device, cameras and controls over our specimen."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_agents import open_driver
from eucentric_agents.drivers import ScanAbortedError
from eucentric_agents.drivers.usim._controls import Controls
from eucentric_agents.drivers.usim._samples import StockScene
from eucentric_agents.drivers.usim._scan_source import Formed, ScanSource
from eucentric_agents.drivers.usim._stack import NionStack
from eucentric_agents.drivers.vendor_api import VendorCallError
from eucentric_core import (
    AgentSettings,
    BusyError,
    CommandRefusedError,
    ConfigurationError,
    UnsupportedError,
)
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    Command,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    VectorReport,
)

from .rig import SMALL, Opened, OpenInstrument, state_of, wait_for_scan, wait_until

pytest.importorskip("nion.usim_device", reason="needs the extra 'usim'")

FIELD_M = 4e-9
PIXELS = 128
PIXEL_M = FIELD_M / PIXELS
ENDLESS = ScanAcquire(height_px=64, width_px=64, dwell_time_s=1.0)
COUNTS_PER_ELECTRON = 40
REACH_PX = 36
SLOW_S = 5e-4

OpenUsim = Callable[..., Opened]


@pytest.fixture
def usim(open_instrument: OpenInstrument) -> OpenUsim:
    """Opens the simulator with a session and the beam on, over a small crystal that stands still."""

    def opener(*, specimen: dict[str, Any] | None = None, **options: Any) -> Opened:
        still = {**SMALL["specimen"], "rotation_rad": 0.3, "drift_m_per_s": [0, 0], **(specimen or {})}
        column = {**SMALL["column"], "jitter_rms_px": 0, "beam_current_a": 1e-9}
        opened = open_instrument("usim", {"specimen": still, "column": column, **options})
        opened.instrument.execute(SessionStart(session="s"))
        opened.instrument.execute(BeamUnblank(max_duration_s=60))
        return opened

    return opener


def scanned(opened: Opened, *, height_px: int = PIXELS, width_px: int = PIXELS) -> NDArray[np.float64]:
    """One more frame."""
    opened.instrument.execute(ScanAcquire(height_px=height_px, width_px=width_px))
    return opened.of("haadf")[-1].array.astype(float)


def shift_px(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[int, int]:
    """How far (y, x) the content of an image has moved: where what the two share is most alike.

    A lattice is nearly alike after every lattice vector; its defects tell.
    """
    reach = range(-REACH_PX, REACH_PX + 1)
    return max(((y, x) for y in reach for x in reach), key=lambda move: likeness(before, after, *move))


def likeness(before: NDArray[np.float64], after: NDArray[np.float64], y: int, x: int) -> float:
    """Correlation of two images where they overlap, if the content has moved by (y, x)."""
    height, width = before.shape
    was = before[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
    is_now = after[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)]
    was, is_now = was - was.mean(), is_now - is_now.mean()
    return float((was * is_now).sum() / np.sqrt((was**2).sum() * (is_now**2).sum()))


def at(image: NDArray[np.float64], rows: NDArray[np.generic]) -> NDArray[np.float64]:
    """The image at truth rows, the outermost two pixels left out."""
    y, x = np.rint(rows[:, :2].astype(float)).astype(int).T
    inside = (np.minimum(y, x) >= 2) & (np.maximum(y, x) < min(image.shape) - 2)
    return image[y[inside], x[inside]]


def test_everything_says_that_it_is_nions_simulator(usim: OpenUsim) -> None:
    opened = usim()
    scanned(opened)
    capabilities = opened.instrument.capabilities
    assert "SIMULATED" in capabilities.model
    assert "Nion uSim 5." in capabilities.model
    assert all(frame.header.simulated for frame in opened.frames)


def test_a_blanked_scan_is_dark_and_doses_nothing(usim: OpenUsim) -> None:
    opened = usim()
    bright = scanned(opened)
    opened.instrument.execute(BeamBlank())
    dark = scanned(opened)
    assert dark.std() < 0.1 * bright.std()
    assert abs(dark.mean() - 500) < 5
    header = opened.of("haadf")[-1].header
    assert (header.dose_e_per_a2, header.optics.beam_current_a) == (0.0, 0.0)
    assert len(opened.of("truth")[-1].array) == 0


def test_the_dose_of_a_frame_follows_from_current_dwell_time_and_pixel_size(usim: OpenUsim) -> None:
    opened = usim()
    scanned(opened)
    per_pixel = 1e-9 * 1e-6 / 1.602176634e-19
    expected = per_pixel / (PIXEL_M * 1e10) ** 2
    assert opened.of("haadf")[0].header.dose_e_per_a2 == pytest.approx(expected)
    assert state_of(opened.instrument).dose_e_per_a2 == pytest.approx(expected)


def test_the_beam_goes_out_in_the_middle_of_a_frame(usim: OpenUsim) -> None:
    opened = usim()
    slow = ScanAcquire(height_px=64, width_px=64, dwell_time_s=SLOW_S)
    with ThreadPoolExecutor(1) as threads:
        scan = threads.submit(opened.instrument.execute, slow)
        wait_until(lambda: state_of(opened.instrument).scanning)
        opened.instrument.execute(BeamBlank())
        scan.result(timeout=30)
    frame = opened.of("haadf")[0]
    assert frame.array[-8:].astype(float).std() < 30
    full = 1e-9 * SLOW_S / 1.602176634e-19 / (FIELD_M / 64 * 1e10) ** 2
    assert frame.header.dose_e_per_a2 is not None
    assert frame.header.dose_e_per_a2 < 0.9 * full
    assert opened.of("truth")[0].array[:, 0].max(initial=0) < 56


@pytest.mark.parametrize("sample", ["twin", "nion"])
def test_a_stage_at_plus_x_looks_at_what_lies_at_plus_x(usim: OpenUsim, sample: str) -> None:
    opened = usim(sample=sample)
    step_m = 1e-9
    if sample == "nion":
        opened.instrument.execute(OpticsFieldOfView(field_of_view_m=2e-7))
        step_m = 2e-8
    field_m = state_of(opened.instrument).optics.field_of_view_m
    assert field_m is not None
    expected = round(step_m / (field_m / PIXELS))
    start = scanned(opened)
    opened.instrument.execute(StageMove(x_m=step_m))
    right = scanned(opened)
    opened.instrument.execute(StageMoveBy(dy_m=step_m))
    below = scanned(opened)
    opened.instrument.execute(StageMove(x_m=0.0, y_m=0.0))
    opened.instrument.execute(BeamShift(x_m=step_m, y_m=step_m))
    shifted = scanned(opened)
    assert shift_px(start, right) == pytest.approx((0, -expected), abs=1)
    moved_on = likeness(right, below, -expected, 0)
    assert moved_on > likeness(right, below, expected, 0) + 0.1
    assert likeness(below, shifted, 0, 0) > 0.9 * moved_on


def test_defocus_blurs_and_astigmatism_blurs_along_its_line_focus(usim: OpenUsim) -> None:
    opened = usim()

    def contrast() -> tuple[float, float]:
        y, x = np.gradient(scanned(opened))
        return float(np.mean(y**2)), float(np.mean(x**2))

    sharp = contrast()
    opened.instrument.execute(OpticsDefocus(defocus_m=6e-9))
    blurred = contrast()
    assert sum(blurred) < 0.6 * sum(sharp)
    report = opened.instrument.execute(OpticsStigmator(x_m=6e-9, y_m=0.0))
    assert isinstance(report, VectorReport)
    assert report.reported == (6e-9, 0.0)
    along_x = contrast()
    opened.instrument.execute(OpticsStigmator(x_m=-6e-9, y_m=0.0))
    along_y = contrast()
    # Overfocus and astigmatism add up along the first line focus, and cancel along the other.
    assert along_x[0] > 1.2 * along_x[1]
    assert along_y[1] > 1.2 * along_y[0]


@pytest.mark.parametrize("rotation_rad", [0.0, 0.7])
def test_the_truth_lies_on_the_atoms_and_its_vacancies_are_dim(usim: OpenUsim, rotation_rad: float) -> None:
    opened = usim(specimen={"vacancy_fraction": 0.2, "divacancy_share": 1.0})
    opened.instrument.execute(StageMove(x_m=1e-9, y_m=-2e-9))
    opened.instrument.execute(OpticsScanRotation(rotation_rad=rotation_rad))
    image = scanned(opened)
    truth, haadf = opened.frames[-2:]
    assert (truth.header.stream, haadf.header.stream) == ("truth", "haadf")
    assert truth.header.sequence == haadf.header.sequence
    assert haadf.header.optics.scan_rotation_rad == rotation_rad
    brightness = {
        name: float(at(image, truth.array[truth.array[:, 2] == index]).mean())
        for index, name in enumerate(truth.header.classes)
    }
    assert brightness["metal"] > brightness["chalcogen"] > brightness["vacancy"]
    assert brightness["metal"] > image.mean() + image.std()


def test_nions_own_sample_has_no_truth(usim: OpenUsim) -> None:
    opened = usim(sample="nion")
    scanned(opened, height_px=64, width_px=96)
    assert [frame.header.stream for frame in opened.frames] == ["haadf"]
    assert "truth" not in opened.instrument.capabilities.streams


def test_the_ronchigram_is_calibrated_in_radians_and_binned_as_asked(usim: OpenUsim) -> None:
    opened = usim()
    for binning, side in ((8, 256), (4, 512)):
        opened.instrument.execute(CameraAcquire(camera="ronchigram", exposure_s=0.01, binning=binning))
        frame = opened.of("ronchigram")[-1]
        assert frame.array.shape == (side, side)
        assert [(axis.name, axis.unit) for axis in frame.header.axes] == [("y", "rad"), ("x", "rad")]
        assert frame.header.axes[0].scale * side == pytest.approx(0.2, rel=0.02)
        assert frame.array.mean() > 1
    opened.instrument.execute(BeamBlank())
    opened.instrument.execute(CameraAcquire(camera="ronchigram", exposure_s=0.01, binning=4))
    assert abs(opened.of("ronchigram")[-1].array.mean()) < 0.1
    for refused in (
        CameraAcquire(camera="ronchigram", exposure_s=0.01, binning=3),
        CameraAcquire(camera="gatan", exposure_s=0.01),
    ):
        with pytest.raises(CommandRefusedError):
            opened.instrument.execute(refused)


def test_a_spectrum_has_its_zero_loss_at_zero_and_all_electrons_of_the_exposure(usim: OpenUsim) -> None:
    opened = usim()
    opened.instrument.execute(SpectrumAcquire(spectrometer="eels", exposure_s=0.02))
    frame = opened.of("eels")[0]
    (axis,) = frame.header.axes
    assert (frame.array.shape, axis.unit) == ((1024,), "eV")
    assert axis.offset + axis.scale * int(frame.array.argmax()) == pytest.approx(0, abs=axis.scale)
    electrons = 1e-9 * 0.02 / 1.602176634e-19
    assert frame.array.sum() == pytest.approx(electrons * COUNTS_PER_ELECTRON, rel=0.01)
    opened.instrument.execute(BeamBlank())
    opened.instrument.execute(SpectrumAcquire(spectrometer="eels", exposure_s=0.02))
    assert not opened.of("eels")[1].array.any()
    with pytest.raises(CommandRefusedError, match="edx"):
        opened.instrument.execute(SpectrumAcquire(spectrometer="edx", exposure_s=0.02))


def test_the_parked_probe_decides_what_the_spectrum_is_of(usim: OpenUsim) -> None:
    opened = usim()
    # The field straddles the edge of the flake.
    opened.instrument.execute(StageMove(x_m=10e-9))
    scanned(opened)
    plasmon = []
    for x_fraction in (0.1, 0.9):
        opened.instrument.execute(BeamPark(y_fraction=0.5, x_fraction=x_fraction))
        opened.instrument.execute(SpectrumAcquire(spectrometer="eels", exposure_s=0.02))
        frame = opened.of("eels")[-1]
        energy = frame.header.axes[0].offset + frame.header.axes[0].scale * np.arange(1024)
        plasmon.append(float(frame.array[np.abs(energy - 23) < 5].sum()) / float(frame.array.sum()))
    assert plasmon[0] > 0.01
    assert plasmon[1] < 0.1 * plasmon[0]


@pytest.mark.parametrize(
    "endless",
    [
        ENDLESS,
        CameraAcquire(camera="ronchigram", exposure_s=600, binning=8),
        SpectrumAcquire(spectrometer="eels", exposure_s=600),
    ],
    ids=lambda command: command.verb,
)
def test_an_abort_ends_what_would_take_minutes_and_the_next_scan_works(
    usim: OpenUsim, endless: Command
) -> None:
    opened = usim()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(opened.instrument.execute, endless)
        wait_until(lambda: state_of(opened.instrument).scanning)
        for second in (ScanAcquire(), ScanStream(), CameraAcquire(camera="eels", exposure_s=0.01)):
            with pytest.raises(BusyError):
                opened.instrument.execute(second)
        opened.instrument.execute(ScanAbort())
        with pytest.raises(ScanAbortedError):
            running.result(timeout=20)
    assert opened.frames == []
    scanned(opened)
    assert [frame.header.sequence for frame in opened.of("haadf")] == [0]


def test_an_aborted_stream_is_no_fault(usim: OpenUsim) -> None:
    opened = usim()
    opened.instrument.execute(ScanStream(height_px=64, width_px=64, dwell_time_s=1.0))
    opened.instrument.safe_state()
    wait_for_scan(opened.instrument)
    state = state_of(opened.instrument)
    assert (state.fault, state.beam_blanked, state.next_sequence) == (None, True, 0)
    opened.instrument.safe_state()


def test_the_stage_refuses_what_nions_software_would_accept(usim: OpenUsim) -> None:
    opened = usim(stage_limit_m=3e-9)
    assert opened.instrument.capabilities.stage_limits.x_m == (-3e-9, 3e-9)
    opened.instrument.execute(StageMove(x_m=3e-9))
    for beyond in (StageMove(x_m=3.1e-9), StageMove(z_m=1e-9), StageMoveBy(dx_m=1e-10)):
        with pytest.raises(CommandRefusedError):
            opened.instrument.execute(beyond)
    report = opened.instrument.execute(StageGet())
    assert isinstance(report, MoveReport)
    assert report.commanded.x_m == 3e-9
    assert report.reported.x_m == pytest.approx(3e-9)
    assert report.actual is None
    for refused in (
        OpticsDefocus(defocus_m=6e-7),
        OpticsStigmator(x_m=4e-7, y_m=4e-7),
        OpticsFieldOfView(field_of_view_m=3e-8),
        BeamShift(x_m=0.0, y_m=4e-9),
        ScanAcquire(height_px=8192, width_px=64),
    ):
        with pytest.raises(CommandRefusedError):
            opened.instrument.execute(refused)


def test_an_unknown_control_and_a_control_that_does_not_obey_are_errors() -> None:
    from nion.usim_device import InstrumentDevice

    unused: Any = _Broken()
    nion: Any = InstrumentDevice.Instrument(
        "bench", InstrumentDevice.ValueManager(), InstrumentDevice.AxisManager(), unused
    )
    controls = Controls(nion)
    assert controls.write("C10", 3e-9) == 3e-9
    with pytest.raises(VendorCallError, match="no control named 'C99'"):
        controls.read("C99")
    with pytest.raises(VendorCallError, match="no control named 'C99'"):
        controls.write("C99", 1.0)
    # Nion's C_Blank knows 0 and 1 only.
    with pytest.raises(VendorCallError, match=r"was set to 5\.0"):
        controls.write("C_Blank", 0.5)


class _Broken:
    """A specimen that cannot be looked at."""

    def form(self, *_: object) -> Formed:
        raise FloatingPointError("no such light")


def test_a_frame_that_cannot_be_formed_is_an_error_and_the_next_one_works() -> None:
    scene: Any = _Broken()
    source = ScanSource(scene, stage_size_nm=1000, sample=StockScene(np.random.default_rng(0)).sample)
    stack = NionStack(source)
    small: dict[str, Any] = {
        "pixel_size_m": 1e-9,
        "dwell_time_s": 1e-6,
        "rotation_rad": 0.0,
        "pause": threading.Event().wait,
    }
    try:
        with pytest.raises(VendorCallError, match="no such light"):
            stack.scan((32, 32), **small)
        scene.form = StockScene(np.random.default_rng(0)).form
        assert stack.scan((32, 32), **small).shape == (32, 32)
    finally:
        stack.close()


def test_it_opens_again_after_it_was_closed_and_leaves_no_thread(
    usim: OpenUsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nion's own launcher would delete this folder.
    kept = tmp_path / "test_data" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    for _ in range(2):
        opened = usim()
        with pytest.raises(BusyError, match="open already"):
            usim()
        scanned(opened)
        opened.instrument.execute(ScanStream(height_px=64, width_px=64, dwell_time_s=1.0))
        opened.instrument.close()
        assert set(threading.enumerate()) <= before
        opened.instrument.close()
    assert kept.read_text() == "mine"


def test_any_thread_may_open_use_and_close_it(usim: OpenUsim) -> None:
    def use() -> int:
        opened = usim()
        scanned(opened)
        opened.instrument.execute(CameraAcquire(camera="eels", exposure_s=0.01))
        opened.instrument.close()
        return len(opened.frames)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(use).result(timeout=60) == 3


def test_without_nions_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nion", None)
    with pytest.raises(UnsupportedError) as refused:
        open_driver(AgentSettings(instrument="usim"), print)
    assert "pip install 'eucentric[usim]'" in refused.value.next_step


def test_options_are_checked_before_anything_starts() -> None:
    for options in ({"sample": "cheese"}, {"specimen": {"extent_m": 1e-5}}, {"sead": 1}):
        with pytest.raises(ConfigurationError, match=r"agent\.driver"):
            open_driver(AgentSettings(instrument="usim", driver=options), print)
