"""Instruments without an interface: their finished files, each taken once, and never touched."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from eucentric_agents.drivers import open_driver
from eucentric_agents.drivers.watchfolder._ledger import Ledger
from eucentric_agents.drivers.watchfolder._watch import Finished, FolderWatch, is_locked
from eucentric_core import AgentSettings, ConfigurationError, EucentricError, sha256_file
from eucentric_core.vocabulary import FrameReference, ScanAbort, ScanAcquire, ScanStream, SessionStart

from ..rig import Opened, OpenInstrument, state_of, wait_for_scan, wait_until
from .openers import watchfolder_options

Watch = Callable[..., Opened]


def image(number: int, shape: tuple[int, int] = (32, 24)) -> NDArray[np.uint16]:
    """An image that is told from others by its number."""
    return np.full(shape, number, np.uint16)


def npy(array: NDArray[Any]) -> bytes:
    """The bytes of a file that holds an array."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the microscope writes to."""
    made = tmp_path / "microscope"
    made.mkdir()
    return made


@pytest.fixture
def watch(open_instrument: OpenInstrument, folder: Path, tmp_path: Path) -> Watch:
    """Opens the driver on that folder, with a session."""

    def opener(**options: Any) -> Opened:
        opened: Opened = open_instrument("watchfolder", watchfolder_options(tmp_path, **options))
        opened.instrument.execute(SessionStart(session="s"))
        return opened

    return opener


def numbers(opened: Opened) -> list[int]:
    """Which images were published."""
    return [int(frame.array.flat[0]) for frame in opened.of("haadf")]


def settled(opened: Opened, count: int) -> None:
    """Stream until so many images are there, and look once more whether there are others."""
    opened.instrument.execute(ScanStream())
    wait_until(lambda: len(opened.of("haadf")) >= count)
    opened.instrument.execute(ScanAbort())
    wait_for_scan(opened.instrument)
    assert len(opened.of("haadf")) == count


def test_files_come_in_the_order_of_their_completion_each_with_its_metadata(
    folder: Path, watch: Watch
) -> None:
    for number, completed_s in ((1, 300), (2, 100), (3, 200)):
        path = folder / f"{number}.npy"
        path.write_bytes(npy(image(number)))
        os.utime(path, (completed_s, completed_s))
    calibrated = folder / "4.tif"
    tifffile.imwrite(
        calibrated, image(4), imagej=True, resolution=(1 / 0.05, 1 / 0.05), metadata={"unit": "nm"}
    )
    opened = watch()
    settled(opened, 4)
    assert numbers(opened) == [2, 3, 1, 4]
    headers = [frame.header for frame in opened.frames]
    assert [header.sequence for header in headers] == [0, 1, 2, 3]
    # The option fills in what a file does not say, and changes nothing that it says.
    assert headers[0].pixel_size_m == 2e-11
    assert headers[3].pixel_size_m == pytest.approx(5e-11)
    assert headers[0].acquired_utc.timestamp() == 100
    assert headers[0].optics.field_of_view_m == pytest.approx(24 * 2e-11)


def test_a_file_is_taken_once_across_restarts_even_under_another_name(folder: Path, watch: Watch) -> None:
    (folder / "a.npy").write_bytes(npy(image(1)))
    (folder / "b.npy").write_bytes(npy(image(2)))
    first = watch()
    settled(first, 2)
    first.instrument.close()
    (folder / "a.npy").rename(folder / "renamed.npy")
    shutil.copy(folder / "b.npy", folder / "copy.npy")
    (folder / "c.npy").write_bytes(npy(image(3)))
    second = watch()
    settled(second, 1)
    assert numbers(second) == [3]


def test_a_series_goes_on_with_the_image_it_had_come_to(folder: Path, watch: Watch) -> None:
    (folder / "series.npy").write_bytes(npy(np.stack([image(n) for n in range(5)])))
    first = watch()
    for sequence in range(2):
        reference = first.instrument.execute(ScanAcquire())
        assert isinstance(reference, FrameReference)
        assert reference.sequence == sequence
    first.instrument.close()
    second = watch()
    settled(second, 3)
    assert numbers(first) + numbers(second) == [0, 1, 2, 3, 4]


def test_a_frame_that_could_not_be_handed_on_comes_again(folder: Path, watch: Watch, tmp_path: Path) -> None:
    def full(_frame: object) -> None:
        raise EucentricError("The disk is full.", safe="nothing was lost.", next_step="make room.")

    (folder / "a.npy").write_bytes(npy(image(1)))
    settings = AgentSettings(instrument="watchfolder", driver=watchfolder_options(tmp_path))
    broken = open_driver(settings, full)
    broken.execute(SessionStart(session="s"))
    with pytest.raises(EucentricError, match="disk is full"):
        broken.execute(ScanAcquire())
    broken.close()
    opened = watch()
    settled(opened, 1)
    assert numbers(opened) == [1]


def test_files_under_way_are_left_alone_until_they_are_whole(folder: Path, watch: Watch) -> None:
    whole = npy(image(7))
    growing, partial, hidden = folder / "7.npy", folder / "8.npy.part", folder / ".9.npy"
    partial.write_bytes(npy(image(8)))
    hidden.write_bytes(npy(image(9)))
    opened = watch()
    opened.instrument.execute(ScanStream())
    with growing.open("wb", buffering=0) as stream:
        # Stopping in the middle for longer than the settling time does not make a file whole either.
        stream.write(whole[: len(whole) // 2])
        wait_until(lambda: state_of(opened.instrument).fault is not None)
        assert opened.frames == []
        stream.write(whole[len(whole) // 2 :])
        wait_until(lambda: numbers(opened) == [7])
    partial.rename(folder / "8.npy")
    wait_until(lambda: numbers(opened) == [7, 8])
    assert state_of(opened.instrument).fault is None
    assert state_of(opened.instrument).scanning


def test_a_bad_file_is_reported_left_in_place_and_tried_again_when_it_changes(
    folder: Path, watch: Watch
) -> None:
    bad = folder / "bad.npy"
    bad.write_bytes(b"no array at all")
    opened = watch()
    opened.instrument.execute(ScanStream())
    wait_until(lambda: state_of(opened.instrument).fault is not None)
    fault = state_of(opened.instrument).fault
    assert fault is not None
    assert "bad.npy" in fault.what
    assert "left as it is" in fault.safe
    (folder / "good.npy").write_bytes(npy(image(1)))
    wait_until(lambda: numbers(opened) == [1])
    assert bad.read_bytes() == b"no array at all"
    bad.write_bytes(npy(image(2)))
    wait_until(lambda: numbers(opened) == [1, 2])
    wait_until(lambda: state_of(opened.instrument).fault is None)


def test_an_unknown_pixel_size_is_never_guessed(folder: Path, watch: Watch) -> None:
    (folder / "a.npy").write_bytes(npy(image(1)))
    opened = watch(pixel_size_m=None)
    opened.instrument.execute(ScanStream())
    wait_until(lambda: state_of(opened.instrument).fault is not None)
    fault = state_of(opened.instrument).fault
    assert fault is not None
    assert fault.code == "unknown_pixel_size"
    assert opened.frames == []


def test_nothing_in_the_folder_is_ever_changed(folder: Path, watch: Watch) -> None:
    (folder / "a.npy").write_bytes(npy(image(1)))
    (folder / "notes.txt").write_text("not an image", encoding="utf-8")

    def state() -> dict[str, tuple[str, int]]:
        return {p.name: (sha256_file(p), p.stat().st_mtime_ns) for p in folder.iterdir()}

    before = state()
    opened = watch()
    settled(opened, 1)
    opened.instrument.close()
    assert state() == before


def test_a_ledger_belongs_to_one_watcher_and_never_into_the_folder(
    folder: Path, watch: Watch, tmp_path: Path
) -> None:
    watch()
    for options, said in (
        (watchfolder_options(tmp_path), "cannot be opened"),
        (watchfolder_options(tmp_path, ledger=str(folder / "taken.sqlite")), "in the watched folder"),
        (watchfolder_options(tmp_path, path=str(tmp_path / "nowhere")), "no folder"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            open_driver(AgentSettings(instrument="watchfolder", driver=options), print)


def test_waiting_for_the_next_file_is_bounded_and_can_be_aborted(folder: Path, watch: Watch) -> None:
    opened = watch(wait_s=0.02)
    with pytest.raises(EucentricError, match="No finished file appeared"):
        opened.instrument.execute(ScanAcquire())
    opened.instrument.execute(ScanStream())
    opened.instrument.abort()
    wait_for_scan(opened.instrument)
    assert state_of(opened.instrument).fault is None


def test_patterns_and_folders_inside(folder: Path, watch: Watch) -> None:
    inside = folder / "2026" / "11"
    inside.mkdir(parents=True)
    for place, number in ((folder / "HAADF_1.NPY", 1), (inside / "haadf_2.npy", 2), (inside / "bf_3.npy", 3)):
        place.write_bytes(npy(image(number)))
    opened = watch(patterns=["haadf_*.npy"], recursive=True)
    settled(opened, 2)
    assert sorted(numbers(opened)) == [1, 2]


def test_vendors_files_bring_their_optics_and_stage(folder: Path, watch: Watch) -> None:
    hspy = pytest.importorskip("rsciio.hspy")
    axis = {"scale": 0.02, "offset": 0.0, "units": "nm", "navigate": False, "size": 32}
    stage = {"x": 0.1, "y": -0.2, "z": 0.01, "tilt_alpha": 10.0, "tilt_beta": 0.0}
    signal = {
        "data": image(5, (32, 32)),
        "axes": [
            {**axis, "name": "y", "index_in_array": 0, "_type": "UniformDataAxis"},
            {**axis, "name": "x", "index_in_array": 1, "_type": "UniformDataAxis"},
        ],
        "metadata": {
            "General": {"title": "HAADF"},
            "Acquisition_instrument": {
                "TEM": {"beam_energy": 200.0, "convergence_angle": 25.0, "Stage": stage}
            },
        },
        "original_metadata": {},
        "tmp_parameters": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": {},
        "package_info": {"package": "test", "package_version": "1"},
    }
    hspy.file_writer(str(folder / "scan.hspy"), signal)
    opened = watch(pixel_size_m=None)
    settled(opened, 1)
    header = opened.frames[0].header
    assert header.pixel_size_m == pytest.approx(2e-11)
    assert (header.optics.high_tension_v, header.optics.convergence_angle_rad) == (200e3, 0.025)
    assert header.stage.x_m == pytest.approx(1e-4)
    assert header.stage.alpha_rad == pytest.approx(np.radians(10))


@pytest.fixture
def clock() -> list[float]:
    """Monotonic seconds that the test moves on."""
    return [0.0]


def test_a_file_is_finished_once_it_has_been_the_same_for_the_settling_time(
    folder: Path, clock: list[float]
) -> None:
    looking = FolderWatch(
        folder, wanted=lambda _path: True, recursive=False, settle_s=2.0, clock=lambda: clock[0]
    )
    path = folder / "a.npy"
    path.write_bytes(b"1")
    assert looking.finished() == []
    clock[0] = 1.9
    assert looking.finished() == []
    path.write_bytes(b"12")
    clock[0] = 2.5
    assert looking.finished() == []
    clock[0] = 4.5
    (file,) = looking.finished()
    assert (file.path, file.size_bytes) == (path, 2)
    assert file.unchanged()
    path.write_bytes(b"123")
    assert not file.unchanged()
    path.write_bytes(b"")
    clock[0] = 9.0
    looking.finished()
    clock[0] = 99.0
    # An empty file is one that somebody has only just made.
    assert looking.finished() == []


def test_a_locked_file_is_one_that_is_written(folder: Path) -> None:
    path = folder / "a.npy"
    path.write_bytes(b"1")
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert is_locked(path)
    assert not is_locked(path)


def test_the_ledger_stays_bounded_and_forgets_only_what_is_gone(folder: Path, tmp_path: Path) -> None:
    kept = folder / "0.npy"
    kept.write_bytes(b"here")
    ledger = Ledger(tmp_path / "ledger.sqlite", max_entries=3)
    files = [Finished(folder / f"{number}.npy", 4, number, number) for number in range(6)]
    for number, file in enumerate(files):
        ledger.note(file, f"{number:064x}", taken=1, images=1)
    assert [ledger.has_taken(file) for file in files] == [True, False, False, False, True, True]
    assert ledger.taken(f"{0:064x}") == (1, 1)
    ledger.close()
