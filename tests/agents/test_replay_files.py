"""Recorded files become frames: every format, its calibration, and a clear word on what cannot be played."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from eucentric_agents.drivers.replay import UnknownPixelSizeError, metres_per_unit
from eucentric_core import (
    CommandRefusedError,
    ConfigurationError,
    DataFormatError,
    Frame,
    Optics,
)
from eucentric_core.vocabulary import ScanAcquire, ScanStream, SessionStart, SessionStop
from eucentric_transfer import write_shard

from ..frames import frame_around
from .rig import OpenInstrument, Play, wait_for_scan

NY, NX = 40, 56
PICTURE = np.random.default_rng(1).integers(0, 250, (NY, NX), dtype=np.uint8)
SERIES = np.random.default_rng(2).integers(0, 60000, (3, NY, NX), dtype=np.uint16)


def scales_pm(frame: Frame) -> tuple[float, float]:
    """Pixel sizes along y and x in picometres."""
    y, x = frame.header.axes
    return round(y.scale * 1e12, 6), round(x.scale * 1e12, 6)


def test_numpy_series_are_played_frame_by_frame(play: Play, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", SERIES)
    frames = play(tmp_path / "series.npy", pixel_size_m=2e-11)
    np.testing.assert_array_equal(np.stack([frame.array for frame in frames]), SERIES)
    assert {scales_pm(frame) for frame in frames} == {(20.0, 20.0)}
    assert not frames[0].header.simulated
    assert frames[0].header.optics.high_tension_v is None
    assert frames[0].header.dose_e_per_a2 is None


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [(">f8", "float64"), ("int64", "float64"), ("bool", "uint8"), ("float16", "float16"), ("int8", "int16")],
)
def test_numbers_of_any_real_kind_arrive_unchanged(
    play: Play, tmp_path: Path, stored: str, dtype: str
) -> None:
    values = (PICTURE % 2).astype(stored)
    np.save(tmp_path / "image.npy", values)
    frame = play(tmp_path / "image.npy", pixel_size_m=1e-11)[0]
    assert frame.array.dtype.name == dtype
    np.testing.assert_array_equal(frame.array, PICTURE % 2)


@pytest.mark.parametrize("deep", [False, True])
def test_png_in_grey(play: Play, tmp_path: Path, deep: bool) -> None:
    picture = SERIES[0] if deep else PICTURE
    Image.fromarray(picture).save(tmp_path / "image.png")
    frame = play(tmp_path / "image.png", pixel_size_m=1e-11)[0]
    np.testing.assert_array_equal(frame.array, picture)


def test_png_in_colour_becomes_luminance_and_transparency_is_ignored(play: Play, tmp_path: Path) -> None:
    colour = np.random.default_rng(3).integers(0, 256, (NY, NX, 4), dtype=np.uint8)
    Image.fromarray(colour, "RGBA").save(tmp_path / "image.png")
    frame = play(tmp_path / "image.png", pixel_size_m=1e-11)[0]
    np.testing.assert_array_equal(frame.array, np.rint(colour[..., :3] @ [0.299, 0.587, 0.114]))
    Image.fromarray(PICTURE).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(play(tmp_path / "palette.png", pixel_size_m=1e-11)[0].array, PICTURE)


def test_tiff_of_imagej_with_different_pixel_sizes_along_y_and_x(play: Play, tmp_path: Path) -> None:
    # Pixels per nanometre: 50 along x, 40 along y.
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, SERIES, imagej=True, resolution=(50, 40), metadata={"unit": "nm", "axes": "TYX"})
    frames = play(path)
    assert len(frames) == 3
    assert scales_pm(frames[0]) == (25.0, 20.0)
    np.testing.assert_array_equal(frames[2].array, SERIES[2])


def test_tiff_of_imagej_in_micrometres(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PICTURE, imagej=True, resolution=(8, 8), metadata={"unit": "\\u00B5m"})
    assert scales_pm(play(path)[0]) == (125000.0, 125000.0)


def test_tiff_of_ome(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 0.3,
        "PhysicalSizeXUnit": "Å",
        "PhysicalSizeY": 0.02,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(path, PICTURE, metadata=metadata)
    assert scales_pm(play(path)[0]) == (20.0, 30.0)


def test_the_resolution_for_printers_is_not_taken_for_a_pixel_size(play: Play, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", PICTURE, resolution=(300, 300), resolutionunit="INCH")
    Image.fromarray(PICTURE).save(tmp_path / "image.png", dpi=(300, 300))
    for name in ("image.tif", "image.png"):
        with pytest.raises(UnknownPixelSizeError, match="how large a pixel is"):
            play(tmp_path / name)


def test_hdf5_as_nexus_writes_it(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/adf")
        group.attrs["axes"] = ["frame", "y", "x"]
        group["data"] = SERIES
        for name, count, step in (("frame", 3, 1.0), ("y", NY, 0.25), ("x", NX, 0.2)):
            group[name] = 5 + step * np.arange(count)
            group[name].attrs["units"] = "angstrom"
    frames = play(path)
    assert len(frames) == 3
    assert scales_pm(frames[0]) == (25.0, 20.0)
    assert frames[0].header.axes[0].offset == pytest.approx(5e-10)


def test_hdf5_as_hyperspy_writes_it(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "image.hdf5"
    with h5py.File(path, "w") as file:
        file["Experiments/image/data"] = PICTURE
        for index, scale in ((0, 0.03), (1, 0.02)):
            axis = file.create_group(f"Experiments/image/axis-{index}")
            axis.attrs.update({"scale": scale, "offset": 0.0, "units": "nm"})
    assert scales_pm(play(path)[0]) == (30.0, 20.0)


def test_hdf5_with_several_images_asks_which_one(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["adf"], file["abf"] = PICTURE, PICTURE[::-1]
        file["spectrum"] = np.arange(2048.0)
    with pytest.raises(ConfigurationError, match="/abf, /adf"):
        play(path, pixel_size_m=1e-11)
    chosen = play(path, pixel_size_m=1e-11, dataset="abf")
    np.testing.assert_array_equal(chosen[0].array, PICTURE[::-1])
    with pytest.raises(DataFormatError, match="no data set 'haadf'"):
        play(path, pixel_size_m=1e-11, dataset="haadf")


def test_our_own_shards_come_back_with_optics_and_the_label_simulated(play: Play, tmp_path: Path) -> None:
    optics = Optics(
        high_tension_v=6e4,
        beam_current_a=2e-11,
        convergence_angle_rad=0.03,
        defocus_m=1e-9,
        field_of_view_m=NX * 2e-11,
        dwell_time_s=2e-6,
    )
    frames = [frame_around(SERIES[n], n, instrument="other", session="old", optics=optics) for n in range(3)]
    path = tmp_path / "shard.h5"
    write_shard(path, frames, software="test")
    played = play(path)
    np.testing.assert_array_equal(np.stack([frame.array for frame in played]), SERIES)
    assert [frame.header.session for frame in played] == ["s"] * 3
    assert {frame.header.optics for frame in played} == {optics}
    assert all(frame.header.simulated for frame in played)


def test_a_large_image_becomes_tiles_that_cover_it(play: Play, tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", SERIES[0])
    frames = play(tmp_path / "large.npy", pixel_size_m=1e-11, tile_px=24)
    covered = np.zeros((NY, NX), bool)
    for frame in frames:
        top, left = (round(axis.offset / axis.scale) for axis in frame.header.axes)
        assert frame.array.shape == (24, 24)
        np.testing.assert_array_equal(frame.array, SERIES[0][top : top + 24, left : left + 24])
        covered[top : top + 24, left : left + 24] = True
    assert covered.all()
    assert len(frames) == 2 * 3


def test_a_folder_is_played_in_the_order_of_its_names(play: Play, tmp_path: Path) -> None:
    for name, value in (("b.npy", 2), ("a.npy", 1), ("c.png", 3)):
        if name.endswith("npy"):
            np.save(tmp_path / name, np.full((NY, NX), value, np.uint8))
        else:
            Image.fromarray(np.full((NY, NX), value, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a frame")
    frames = play(tmp_path, pixel_size_m=1e-11)
    assert [int(frame.array[0, 0]) for frame in frames] == [1, 2, 3]


def test_a_recording_ends_unless_it_is_to_be_repeated(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    path = tmp_path / "series.npy"
    np.save(path, SERIES)
    options = {"path": str(path), "pixel_size_m": 1e-11}
    once = open_instrument("replay", options)
    once.instrument.execute(SessionStart(session="a"))
    once.instrument.execute(ScanStream(max_frames=100))
    wait_for_scan(once.instrument)
    assert len(once.frames) == 3
    with pytest.raises(CommandRefusedError, match="All 3 frames"):
        once.instrument.execute(ScanAcquire())
    once.instrument.execute(SessionStop())
    once.instrument.execute(SessionStart(session="b"))
    once.instrument.execute(ScanAcquire())
    np.testing.assert_array_equal(once.frames[-1].array, SERIES[0])

    again = open_instrument("replay", {**options, "repeat": True})
    again.instrument.execute(SessionStart(session="a"))
    again.instrument.execute(ScanStream(max_frames=7))
    wait_for_scan(again.instrument)
    assert [frame.header.sequence for frame in again.frames] == list(range(7))
    np.testing.assert_array_equal(again.frames[6].array, SERIES[0])


def _nan(path: Path) -> None:
    image = PICTURE.astype(np.float32)
    image[3, 4] = np.nan
    np.save(path, image)


def _objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}] * 400, object).reshape(20, 20), allow_pickle=True)


def _cut_short(path: Path) -> None:
    np.save(path, PICTURE)
    path.write_bytes(path.read_bytes()[:-100])


UNPLAYABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan.npy": (_nan, "1 values that are not finite"),
    "pickled.npy": (_objects, "cannot be read"),
    "short.npy": (_cut_short, "cannot be read"),
    "complex.npy": (lambda path: np.save(path, PICTURE.astype(complex)), "not real and plain"),
    "line.npy": (lambda path: np.save(path, np.arange(100.0)), "1 dimensions"),
    "datacube.npy": (lambda path: np.save(path, np.zeros((2, 2, 32, 32))), "4 dimensions"),
    "tiny.npy": (lambda path: np.save(path, np.zeros((4, 4))), "too small"),
    "broken.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\nhello"), "cannot be read"),
    "broken.tif": (lambda path: path.write_bytes(b"II*\x00hello"), "cannot be read"),
    "broken.h5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\nhello"), "cannot be read"),
    "empty.h5": (lambda path: h5py.File(path, "w").close(), "no data set"),
    "table.csv": (lambda path: path.write_text("1,2,3"), "no reader|not .*read"),
}


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_what_cannot_be_played_is_refused_before_anything_starts(
    open_instrument: OpenInstrument, tmp_path: Path, name: str
) -> None:
    write, why = UNPLAYABLE[name]
    write(tmp_path / name)
    with pytest.raises(DataFormatError, match=why) as refused:
        open_instrument("replay", {"path": str(tmp_path / name), "pixel_size_m": 1e-11})
    assert refused.value.what.startswith(name)


def test_a_path_that_does_not_exist_or_holds_nothing_is_named(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        open_instrument("replay", {"path": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigurationError, match="0 files"):
        open_instrument("replay", {"path": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.path"):
        open_instrument("replay", {})


def test_a_vendors_file_without_the_extra_says_what_to_install(
    open_instrument: OpenInstrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "image.dm4").write_bytes(b"whatever")
    with pytest.raises(ConfigurationError) as refused:
        open_instrument("replay", {"path": str(tmp_path / "image.dm4")})
    assert "eucentric[vendor-formats]" in refused.value.next_step


def write_hspy(path: Path) -> None:
    """A file of HyperSpy with one calibrated image called HAADF."""
    hspy = pytest.importorskip("rsciio.hspy")
    axes = [
        {"name": name, "units": "nm", "scale": scale, "offset": 0.0, "size": size, "navigate": False}
        for name, scale, size in (("y", 0.03, NY), ("x", 0.02, NX))
    ]
    signal = {
        "data": PICTURE,
        "axes": [{**axis, "_type": "UniformDataAxis", "is_binned": False} for axis in axes],
        "metadata": {
            "General": {"title": "HAADF"},
            "Acquisition_instrument": {"TEM": {"beam_energy": 80.0, "convergence_angle": 25.0}},
        },
        "original_metadata": {},
        "learning_results": {},
        "package_info": {"package": "none", "package_version": "0"},
        "tmp_parameters": {},
        "attributes": {"_lazy": False},
        "models": {},
    }
    hspy.file_writer(str(path), signal)


def test_a_vendors_file_is_read_with_its_calibration(play: Play, tmp_path: Path) -> None:
    write_hspy(tmp_path / "image.hspy")
    frame = play(tmp_path / "image.hspy")[0]
    np.testing.assert_array_equal(frame.array, PICTURE)
    assert scales_pm(frame) == (30.0, 20.0)
    assert frame.header.optics.high_tension_v == 80e3
    assert frame.header.optics.convergence_angle_rad == pytest.approx(0.025)


def test_of_several_images_in_a_vendors_file_one_is_chosen_by_its_title(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "two.hspy"
    write_hspy(path)
    with h5py.File(path, "a") as file:
        file.copy("Experiments/HAADF", "Experiments/BF")
        file["Experiments/BF/metadata/General"].attrs["title"] = "BF"
        file["Experiments/BF/data"][...] = PICTURE[::-1]
    np.testing.assert_array_equal(play(path, dataset="BF")[0].array, PICTURE[::-1])
    np.testing.assert_array_equal(play(path, dataset="HAADF")[0].array, PICTURE)
    with pytest.raises(DataFormatError, match=r"no image called 'DF', only .*'HAADF'"):
        play(path, dataset="DF")


@pytest.mark.parametrize(
    ("unit", "metres"),
    [
        ("m", 1.0),
        ("nm", 1e-9),
        (" NM ", 1e-9),
        ("Å", 1e-10),
        ("A", 1e-10),
        ("pm", 1e-12),
        ("µm", 1e-6),
        ("μm", 1e-6),
        ("um", 1e-6),
        ("\\u00B5m", 1e-6),
        ("micron", 1e-6),
        ("1/nm", None),
        ("px", None),
        ("", None),
        (None, None),
        ("inch", None),
    ],
)
def test_units_of_length_and_nothing_else(unit: str | None, metres: float | None) -> None:
    assert metres_per_unit(unit) == metres
