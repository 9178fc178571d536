"""Files go the way of measured frames: journal, shard, repository; each once per session, come what may."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_agents._home_lock import HomeLock
from eucentric_agents.importing import ImportConflictError, ImportOptions, ImportReport, import_files
from eucentric_agents.importing._sources import planned_of
from eucentric_agents.recording import JournalError, open_journal
from eucentric_agents.sessions import SessionNames
from eucentric_agents.vendor_files import ApartReader
from eucentric_core import ConfigurationError, DataFormatError, Frame, OutOfSpaceError

from .conftest import Home
from .vendor_files import axis, write_hspy

NANOMETRES = (axis("y", "nm", 0.1), axis("x", "nm", 0.1))
TEM = {
    "Acquisition_instrument": {
        "TEM": {
            "beam_energy": 80.0,
            "convergence_angle": 25.0,
            "beam_current": 0.0,
            "dwell_time": 1e-5,
            "Stage": {"x": 0.5, "tilt_alpha": 10.0},
        }
    }
}


def picture(folder: Path, name: str = "image", *, seed: int = 1, **more: Any) -> Path:
    data = np.random.default_rng(seed).integers(0, 4000, (20, 24), dtype=np.uint16)
    return write_hspy(folder / f"{name}.hspy", data, NANOMETRES, **{"title": "HAADF", **more})


def verdicts(report: ImportReport) -> list[str]:
    return [file.verdict for file in report.files]


def test_a_file_arrives_in_the_repository_with_all_that_it_says(home: Home, tmp_path: Path) -> None:
    original = {"Vendor": {"serial": 7, "text": "a", "many": list(range(5))}}
    general = {"title": "HAADF", "date": "2020-02-03", "time": "04:05:06", "time_zone": "+02:00"}
    path = picture(tmp_path, metadata={"General": general, **TEM}, original=original)
    report = home.take(path, sample="grid-7", material="mos2")
    assert (verdicts(report), report.session_state) == (["imported"], "complete")
    (frame,) = home.frames("haadf")
    np.testing.assert_array_equal(
        frame.array, np.random.default_rng(1).integers(0, 4000, (20, 24), dtype=np.uint16)
    )
    header = frame.header
    assert (header.instrument, header.session, header.sequence) == ("imported", "s1", 0)
    assert (header.sample, header.material, header.simulated) == ("grid-7", "mos2", False)
    assert header.pixel_size_m == pytest.approx(1e-10)
    assert header.acquired_utc == datetime(2020, 2, 3, 2, 5, 6, tzinfo=UTC)
    optics = header.optics
    assert (optics.high_tension_v, optics.dwell_time_s) == (80e3, 1e-5)
    assert optics.convergence_angle_rad == pytest.approx(0.025)
    assert optics.beam_current_a is None
    assert optics.field_of_view_m == pytest.approx(2.4e-9)
    assert (header.stage.x_m, header.stage.alpha_rad) == pytest.approx((5e-4, np.radians(10)))
    assert header.dose_e_per_a2 is None
    vendor = header.vendor_metadata
    assert vendor is not None
    assert vendor["original_metadata"] == original
    source: Any = vendor["source"]
    assert (source["file"], source["reader"]) == ("image.hspy", "HSPY")
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source["metadata_shortened"] is False
    with home.catalogue() as catalogue:
        (dataset,) = catalogue.datasets()
    assert (dataset.dataset_id, dataset.state, dataset.missing) == ("imported.s1", "complete", 0)


def test_computed_data_say_so_only_if_somebody_does(home: Home, tmp_path: Path) -> None:
    home.take(picture(tmp_path), simulated=True)
    (frame,) = home.frames("haadf")
    assert frame.header.simulated


def test_without_a_time_zone_the_time_is_that_of_the_file_and_said_to_be(home: Home, tmp_path: Path) -> None:
    path = picture(
        tmp_path, metadata={"General": {"title": "HAADF", "date": "2020-02-03", "time": "04:05:06"}}
    )
    home.take(path)
    (frame,) = home.frames("haadf")
    assert frame.header.acquired_utc.timestamp() == pytest.approx(path.stat().st_mtime, abs=1e-3)
    source: Any = (frame.header.vendor_metadata or {})["source"]
    assert source["acquired_utc_from"] == "file"


def test_a_series_keeps_its_order_and_says_how_it_was_cut(home: Home, tmp_path: Path) -> None:
    data = np.random.default_rng(3).integers(0, 99, (10, 20, 24), dtype=np.uint16)
    axes = (axis("time", "s", 0.5), *NANOMETRES)
    report = home.take(write_hspy(tmp_path / "series.hspy", data, axes), picture(tmp_path))
    assert [(file.first_sequence, file.frames) for file in report.files] == [(0, 10), (10, 1)]
    frames = home.frames("image")
    assert [frame.header.sequence for frame in frames] == list(range(10))
    np.testing.assert_array_equal(np.stack([frame.array for frame in frames]), data)
    source: Any = (frames[4].header.vendor_metadata or {})["source"]
    assert (source["series_axis"], source["first_sequence"]) == (0, 0)
    assert source["axes_in_file"][0] == {"name": "time", "unit": "s", "scale": 0.5, "offset": 0.0}


def test_a_large_scan_is_cut_between_its_rows(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucentric_agents.importing._planned._PIECE_BYTES", 4096)
    data = np.random.default_rng(4).integers(0, 99, (5, 4, 256), dtype=np.uint16)
    axes = (axis("y", "nm", 2.0, offset=10.0), axis("x", "nm", 2.0), axis("E", "eV", 0.5, offset=100.0))
    report = home.take(write_hspy(tmp_path / "map.hspy", data, axes, signal_type="EELS"))
    assert report.files[0].frames == 3
    frames = home.frames("eels.map")
    assert [frame.array.shape for frame in frames] == [(2, 4, 256), (2, 4, 256), (1, 4, 256)]
    np.testing.assert_array_equal(np.concatenate([frame.array for frame in frames]), data)
    assert [f.header.axes[0].offset for f in frames] == pytest.approx([10e-9, 14e-9, 18e-9])


def test_the_same_content_is_recorded_once_whatever_it_is_called(home: Home, tmp_path: Path) -> None:
    path = picture(tmp_path)
    copy = tmp_path / "copy.hspy"
    copy.write_bytes(path.read_bytes())
    report = home.take(path, copy, picture(tmp_path, "other", seed=2))
    assert verdicts(report) == ["imported", "already", "imported"]
    again = home.take(path)
    assert (verdicts(again), again.session_state) == (["already"], "complete")
    assert again.files[0].first_sequence == 0
    assert len(home.frames("haadf")) == 2
    # Another session is another data set.
    assert verdicts(home.take(path, session="s2")) == ["imported"]
    noted = home.take(path, pixel_size_pm=50)
    assert verdicts(noted) == ["already"]
    assert "other options" in (noted.files[0].note or "")


def test_a_bad_file_stops_neither_the_others_nor_a_second_try(home: Home, tmp_path: Path) -> None:
    good, late = picture(tmp_path), picture(tmp_path, "late", seed=2)
    bad = write_hspy(
        tmp_path / "bad.hspy", np.ones((20, 24), "uint8"), (axis("y", None, 1), axis("x", None, 1))
    )
    missing, folder = tmp_path / "missing.dm3", tmp_path / "folder.dm3"
    folder.mkdir()
    report = home.take(bad, good, missing, folder, late)
    assert verdicts(report) == ["refused", "imported", "refused", "refused", "imported"]
    assert [file.error.code for file in report.refused if file.error] == [
        "uncalibrated",
        "data_format",
        "data_format",
    ]
    assert report.session_state == "open"
    second = home.take(bad, good, pixel_size_pm=30)
    assert (verdicts(second), second.session_state) == (["imported", "already"], "complete")
    assert [frame.header.sequence for frame in home.frames("haadf")] == [0, 1]
    assert [frame.header.pixel_size_m for frame in home.frames("image")] == [pytest.approx(3e-11)]


def test_a_session_is_closed_when_told_to(home: Home, tmp_path: Path) -> None:
    assert home.take(picture(tmp_path), keep_open=True).session_state == "open"
    assert home.take(picture(tmp_path, "b", seed=2), keep_open=True).session_state == "open"
    assert home.take(close=True).session_state == "complete"
    with pytest.raises(ImportConflictError, match="is over"):
        raise_refusal(home.take(picture(tmp_path, "c", seed=3)))
    assert len(home.frames("haadf")) == 2


def raise_refusal(report: ImportReport) -> None:
    """The refusal of the only file as the error that it was."""
    error = report.files[0].error
    assert error is not None
    if error.code == ImportConflictError.code:
        raise ImportConflictError(error.what, safe=error.safe, next_step=error.next_step)


def test_nothing_is_opened_for_files_that_are_all_refused(home: Home, tmp_path: Path) -> None:
    report = home.take(tmp_path / "missing.dm3")
    assert report.session_state == "none"
    assert not (home.settings.home / "agent" / "recording" / "journal.sqlite").exists()


def test_while_an_agent_runs_nothing_is_imported(home: Home, tmp_path: Path) -> None:
    path = picture(tmp_path)
    with HomeLock(home.settings.home):
        with pytest.raises(ConfigurationError, match="An agent already runs") as refused:
            home.take(path)
        assert "nothing was imported" in refused.value.safe
        assert "stop the agent" in refused.value.next_step
    assert verdicts(home.take(path)) == ["imported"]


def test_a_session_of_the_instrument_itself_is_not_mixed_with_files(home: Home, tmp_path: Path) -> None:
    path = picture(tmp_path)
    names = SessionNames(home.settings.home / "agent" / "sessions.txt")
    names.take("measured")
    report = home.take(path, session="measured", instrument="scope")
    assert report.files[0].error is not None
    assert "another origin" in report.files[0].error.what
    assert verdicts(home.take(path, session="files", instrument="scope")) == ["imported"]
    # Nor can the instrument use the name of imported files for a measurement.
    assert "files" in (home.settings.home / "agent" / "sessions.txt").read_text().split()


def test_frames_that_somebody_else_recorded_are_not_mixed_with_files(
    home: Home, tmp_path: Path, make_frame: Callable[..., Frame]
) -> None:
    journal = open_journal(home.settings)
    journal.append(make_frame(0, instrument="imported", session="s1"))
    journal.sync()
    journal.close()
    report = home.take(picture(tmp_path))
    assert report.files[0].error is not None
    assert "another origin" in report.files[0].error.what
    assert report.files[0].error.code == "import_conflict"


def test_a_file_that_changes_while_it_is_read_is_not_recorded(reader: ApartReader, tmp_path: Path) -> None:
    path = picture(tmp_path)
    with pytest.raises(DataFormatError, match="changed while it was read"):
        planned_of(reader, path, hashlib.sha256(b"as it was before").hexdigest(), ImportOptions(session="s1"))


def test_an_interrupted_import_goes_on_where_it_was(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(3).integers(0, 99, (10, 20, 24), dtype=np.uint16)
    series = write_hspy(tmp_path / "series.hspy", data, (axis("t", "s", 0.5), *NANOMETRES))
    other = picture(tmp_path)
    interrupt_after(6, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        home.take(series, other)
    monkeypatch.undo()
    with pytest.raises(ImportConflictError, match=r"series\.hspy .* was interrupted"):
        home.take(other)
    with pytest.raises(ImportConflictError, match="was interrupted"):
        home.take(close=True)
    with pytest.raises(ImportConflictError, match="other options"):
        raise_refusal(home.take(series, pixel_size_pm=7))
    report = home.take(other, series)
    assert verdicts(report) == ["imported", "imported"]
    assert [file.first_sequence for file in report.files] == [10, 0]
    assert [frame.header.sequence for frame in home.frames("image")] == list(range(10))
    np.testing.assert_array_equal(np.stack([frame.array for frame in home.frames("image")]), data)
    assert [frame.header.sequence for frame in home.frames("haadf")] == [10]


def interrupt_after(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a file: after some of its frames are in the journal."""
    from eucentric_agents.importing import _planned

    build = _planned.PlannedSignal.build

    def interrupted(self: Any, *arguments: Any, **options: Any) -> Any:
        for number, frame in enumerate(build(self, *arguments, **options)):
            if number == frames:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(_planned.PlannedSignal, "build", interrupted)


def test_a_full_disk_ends_the_import_and_it_can_be_run_again(home: Home, tmp_path: Path) -> None:
    path = picture(tmp_path)
    full = home.settings.model_copy(
        update={"agent": home.settings.agent.model_copy(update={"min_free_bytes": 1 << 60})}
    )
    with pytest.raises((OutOfSpaceError, JournalError)):
        import_files([path], ImportOptions(session="s1"), full)
    assert verdicts(home.take(path)) == ["imported"]
    assert len(home.frames("haadf")) == 1


def test_metadata_that_are_too_long_are_shortened_and_say_so(home: Home, tmp_path: Path) -> None:
    original = {"Tags": {f"t{n}": "x" * 3000 for n in range(150)}, "small": 1}
    home.take(picture(tmp_path, original=original))
    (frame,) = home.frames("haadf")
    vendor: Any = frame.header.vendor_metadata
    assert vendor["source"]["metadata_shortened"] is True
    assert vendor["original_metadata"]["small"] == 1
    assert "not kept" in vendor["original_metadata"]["Tags"]["t0"]


def test_of_several_signals_the_calibrated_or_the_named_ones_are_taken(home: Home, tmp_path: Path) -> None:
    path = two_signals(tmp_path)
    refused = home.take(path)
    assert verdicts(refused) == ["refused"]
    error = refused.files[0].error
    assert error is not None
    assert "signal 1 'Overview'" in error.what
    assert "--calibrated-only" in error.next_step
    report = home.take(path, calibrated_only=True)
    assert verdicts(report) == ["imported"]
    assert [signal.stream for signal in report.files[0].signals] == ["haadf"]
    assert [left.title for left in report.files[0].left_out] == ["Overview"]
    assert verdicts(home.take(path, session="s2", signals=("HAADF",))) == ["imported"]
    unknown = home.take(path, session="s3", signals=("BF",))
    assert unknown.files[0].error is not None
    assert "'HAADF', 'Overview'" in unknown.files[0].error.what


def two_signals(folder: Path) -> Path:
    import h5py

    path = picture(folder, "two")
    other = picture(folder, "other")
    with h5py.File(path, "a") as file, h5py.File(other, "r") as source:
        (found,) = source["Experiments"].values()
        source.copy(found, file["Experiments"], "Overview")
        added = file["Experiments/Overview"]
        added["metadata/General"].attrs["title"] = "Overview"
        for name in ("axis-0", "axis-1"):
            del added[name].attrs["units"]
        added["data"][...] = 7
    return path


def test_data_beside_the_file_count_when_it_comes_again(home: Home, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder, value in zip(folders, (1, 2, 2), strict=True):
        folder.mkdir()
        write_ripple(folder / "image", np.full((20, 24), value, "uint16"))
    report = home.take(*(folder / "image.rpl" for folder in folders), pixel_size_pm=20)
    assert verdicts(report) == ["imported", "imported", "already"]
    assert [int(frame.array[0, 0]) for frame in home.frames("image")] == [1, 2]


def write_ripple(stem: Path, data: np.ndarray) -> None:
    height, width = data.shape
    stem.with_suffix(".raw").write_bytes(data.astype("<u2").tobytes())
    keys = {
        "width": width,
        "height": height,
        "depth": 1,
        "offset": 0,
        "data-length": 2,
        "data-type": "unsigned",
        "byte-order": "little-endian",
        "record-by": "dont-care",
    }
    lines = "".join(f"{key}\t{value}\n" for key, value in keys.items())
    stem.with_suffix(".rpl").write_text(f"key\tvalue\n{lines}")
