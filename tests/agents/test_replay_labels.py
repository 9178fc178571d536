"""A recording that knows what is in its images publishes it, as a simulated microscope would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_core import DataFormatError, Frame
from eucentric_core.vocabulary import ScanAcquire, SessionStart
from eucentric_transfer import write_shard

from ..frames import frame_around
from .rig import OpenInstrument, Play

NY, NX = 40, 56
SERIES = np.random.default_rng(2).integers(0, 60000, (3, NY, NX), dtype=np.uint16)
CLASSES = ("metal", "chalcogen", "vacancy")
COLUMNS = np.array([[0, 0, 0], [3.25, 7.5, 1], [23.6, 23.4, 2], [39, 55, 1]], np.float32)


def frame_of(stream: str, sequence: int, array: NDArray[np.generic]) -> Frame:
    """A simulated frame or its truth."""
    classes = CLASSES if stream == "truth" else ()
    return frame_around(array, sequence, stream, instrument="other", session="old", classes=classes)


def write_labelled_shard(path: Path, truths: dict[int, NDArray[np.generic]], *, first: int = 5) -> None:
    """A shard of three images from sequence `first` on, with truth for some of them."""
    frames = []
    for index, image in enumerate(SERIES):
        sequence = first + index
        if sequence in truths:
            frames.append(frame_of("truth", sequence, truths[sequence]))
        frames.append(frame_of("haadf", sequence, image))
    write_shard(path, frames, software="test")


def told(frames: list[Frame]) -> list[tuple[str, int]]:
    """Stream and sequence number of every frame, in the order of their arrival."""
    return [(frame.header.stream, frame.header.sequence) for frame in frames]


def truth_of(frames: list[Frame], sequence: int) -> Frame:
    """The truth of one acquisition."""
    return next(f for f in frames if (f.header.stream, f.header.sequence) == ("truth", sequence))


def write_labels(path: Path, *lines: str, columns: str = "frame,y_px,x_px,class") -> None:
    """A labels file."""
    path.write_text("\n".join([columns, *lines]) + "\n", encoding="utf-8")


def test_the_truth_of_a_shard_comes_back_before_the_image_it_belongs_to(play: Play, tmp_path: Path) -> None:
    nothing = np.empty((0, 3), np.float32)
    write_labelled_shard(tmp_path / "shard.h5", {5: COLUMNS, 7: nothing})
    frames = play(tmp_path / "shard.h5")
    assert told(frames) == [("truth", 0), ("haadf", 0), ("haadf", 1), ("truth", 2), ("haadf", 2)]
    truth = truth_of(frames, 0)
    np.testing.assert_array_equal(truth.array, COLUMNS)
    assert truth.header.classes == CLASSES
    assert truth.header.simulated
    assert (truth.header.instrument, truth.header.session, truth.header.axes) == ("scope", "s", ())
    assert truth_of(frames, 2).array.shape == (0, 3)


def test_the_capabilities_say_whether_there_is_truth(open_instrument: OpenInstrument, tmp_path: Path) -> None:
    write_labelled_shard(tmp_path / "labelled.h5", {6: COLUMNS})
    write_labelled_shard(tmp_path / "plain.h5", {})
    streams = [
        open_instrument("replay", {"path": str(tmp_path / name)}).instrument.capabilities.streams
        for name in ("labelled.h5", "plain.h5")
    ]
    assert streams == [("haadf", "truth"), ("haadf",)]


def test_every_column_is_in_the_tiles_that_show_it_and_in_no_other(play: Play, tmp_path: Path) -> None:
    write_labelled_shard(tmp_path / "shard.h5", {5: COLUMNS})
    frames = play(tmp_path / "shard.h5", tile_px=24)
    tiles = [frame for frame in frames if frame.header.stream == "haadf"][:6]
    found = set()
    for tile in tiles:
        truth = truth_of(frames, tile.header.sequence)
        corner = np.array([round(axis.offset / axis.scale) for axis in tile.header.axes])
        placed = np.asarray(truth.array, np.float32) + np.array([*corner, 0], np.float32)
        inside = np.all((corner - 0.5 <= COLUMNS[:, :2]) & (COLUMNS[:, :2] < corner + 23.5), axis=1)
        np.testing.assert_allclose(placed, COLUMNS[inside], atol=1e-5)
        found |= {tuple(row) for row in np.round(placed, 3).tolist()}
    assert len(found) == len(COLUMNS)
    assert ("truth", 6) not in told(frames)


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[1, 1, 3]], np.float32),
        np.array([[1, 1, 0.5]], np.float32),
        np.array([[1, 1, -1]], np.float32),
        np.array([[np.nan, 1, 0]], np.float32),
        np.zeros((4, 2), np.float32),
        np.zeros((4, 3), np.float64),
    ],
    ids=["class without a name", "half a class", "negative class", "no position", "two columns", "float64"],
)
def test_a_truth_that_is_none_is_refused(
    open_instrument: OpenInstrument, tmp_path: Path, rows: NDArray[np.generic]
) -> None:
    write_labelled_shard(tmp_path / "shard.h5", {6: rows})
    with pytest.raises(DataFormatError, match=r"shard\.h5: truth 6"):
        open_instrument("replay", {"path": str(tmp_path / "shard.h5")})


def test_labels_beside_a_series_become_its_truth(play: Play, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", SERIES)
    write_labels(tmp_path / "series.labels.csv", "0,3.25,7.5,sulphur", "2,39.25,0,Mo", "0,-0.5,55.25,Mo")
    frames = play(tmp_path / "series.npy", pixel_size_m=2e-11)
    assert told(frames) == [("truth", 0), ("haadf", 0), ("haadf", 1), ("truth", 2), ("haadf", 2)]
    first, last = truth_of(frames, 0), truth_of(frames, 2)
    assert first.header.classes == last.header.classes == ("Mo", "sulphur")
    assert not first.header.simulated
    assert first.array.dtype == np.float32
    assert first.array.tolist() == [[3.25, 7.5, 1], [-0.5, 55.25, 0]]
    assert last.array.tolist() == [[39.25, 0, 0]]


def test_labels_as_a_spreadsheet_saves_them(play: Play, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", SERIES[0])
    text = '\ufeffclass,frame,x_px,y_px\r\n"Mo, on S",0, 7.5 ,3\r\n\r\n'
    (tmp_path / "image.labels.csv").write_bytes(text.encode())
    truth = truth_of(play(tmp_path / "image.npy", pixel_size_m=2e-11), 0)
    assert truth.header.classes == ("Mo, on S",)
    assert truth.array.tolist() == [[3, 7.5, 0]]


def test_in_a_folder_each_image_has_its_own_labels(play: Play, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        np.save(tmp_path / f"{name}.npy", SERIES[0])
    write_labels(tmp_path / "b.labels.csv", "0,1,2,Mo")
    frames = play(tmp_path, pixel_size_m=2e-11)
    assert told(frames) == [("haadf", 0), ("truth", 1), ("haadf", 1), ("haadf", 2)]


BAD_LABELS: dict[str, tuple[str, str]] = {
    "unknown column": ("frame,y_px,x_px,class,size\n0,1,2,Mo,3", r"line 1: its columns are .*size"),
    "missing column": ("frame,y_px,x_px\n0,1,2", r"line 1: its columns are 'frame,y_px,x_px'"),
    "column twice": ("frame,y_px,y_px,class\n0,1,2,Mo", "line 1: its columns"),
    "empty file": ("", "line 1: its columns"),
    "no labels": ("frame,y_px,x_px,class\n", "names 0 classes"),
    "not a number": ("frame,y_px,x_px,class\n0,1,2,Mo\n0,one,2,Mo", "line 3: its y_px is 'one'"),
    "nan": ("frame,y_px,x_px,class\n0,1,nan,Mo", "line 2: its x_px is 'nan'"),
    "no such frame": ("frame,y_px,x_px,class\n3,1,2,Mo", "line 2: there is no frame 3, only 0 to 2"),
    "half a frame": ("frame,y_px,x_px,class\n0.5,1,2,Mo", "line 2: there is no frame 0.5"),
    "below the image": ("frame,y_px,x_px,class\n0,39.5,2,Mo", r"line 2: y 39\.5, x 2 is outside"),
    "left of the image": ("frame,y_px,x_px,class\n0,1,-0.6,Mo", r"line 2: y 1, x -0\.6 is outside"),
    "no class": ("frame,y_px,x_px,class\n0,1,2,", "line 2: it names no class"),
    "too few values": ("frame,y_px,x_px,class\n\n0,1,2", "line 3: it has 3 values, not 4"),
    "open quotation mark": ('frame,y_px,x_px,class\n0,1,2,"Mo', "line 2: it is no CSV"),
    "a class for each label": (
        "frame,y_px,x_px,class\n" + "\n".join(f"0,1,2,{n}" for n in range(65)),
        "names 65 classes",
    ),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_refused_with_file_and_line_before_anything_starts(
    open_instrument: OpenInstrument, tmp_path: Path, name: str
) -> None:
    text, why = BAD_LABELS[name]
    np.save(tmp_path / "series.npy", SERIES)
    (tmp_path / "series.labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataFormatError, match=why) as refused:
        open_instrument("replay", {"path": str(tmp_path / "series.npy"), "pixel_size_m": 2e-11})
    assert refused.value.what.startswith("series.labels.csv")


def test_labels_in_another_encoding_are_refused_with_the_line(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    np.save(tmp_path / "series.npy", SERIES)
    (tmp_path / "series.labels.csv").write_bytes("frame,y_px,x_px,class\n0,1,2,Lücke\n".encode("latin-1"))
    with pytest.raises(DataFormatError, match=r"series\.labels\.csv, line 2: it is not UTF-8"):
        open_instrument("replay", {"path": str(tmp_path / "series.npy"), "pixel_size_m": 2e-11})


def test_two_truths_for_one_recording_are_one_too_many(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    write_labelled_shard(tmp_path / "shard.h5", {5: COLUMNS})
    write_labels(tmp_path / "shard.labels.csv", "0,1,2,Mo")
    with pytest.raises(DataFormatError, match="its own truth"):
        open_instrument("replay", {"path": str(tmp_path / "shard.h5")})


def test_a_shard_without_labels_of_its_own_may_be_labelled_beside(
    open_instrument: OpenInstrument, tmp_path: Path
) -> None:
    write_labelled_shard(tmp_path / "shard.h5", {})
    write_labels(tmp_path / "shard.labels.csv", "1,1,2,Mo")
    opened = open_instrument("replay", {"path": str(tmp_path / "shard.h5")})
    opened.instrument.execute(SessionStart(session="s"))
    for _ in range(2):
        opened.instrument.execute(ScanAcquire())
    assert told(opened.frames) == [("haadf", 0), ("truth", 1), ("haadf", 1)]
