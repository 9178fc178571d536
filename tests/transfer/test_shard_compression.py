"""Version 2 of the shard: compressed chunks that others can read, and that cannot be made to unfold."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import h5py
import numpy as np
import pytest

from eucentric_core import Axis, DataFormatError, Frame
from eucentric_transfer import ShardBuilder, ShardReader, StoredChunk, store_array, write_shard

from ..frames import frame_around

MakeFrame = Callable[..., Frame]
SOFTWARE = "eucentric test"
GOLDEN = Path(__file__).with_name("golden") / "shard.v1.h5"


def counts(sequence: int, shape: tuple[int, ...] = (64, 96), **header: Any) -> Frame:
    """An image of few electrons, as detectors give it."""
    image = np.random.default_rng(sequence).poisson(3, shape).astype(np.uint16)
    return frame_around(image, sequence, **header)


def read_all(path: Path) -> list[Frame]:
    with ShardReader(path) as reader:
        return [frame for stream in reader.streams for frame in reader.frames(stream)]


def test_counts_take_less_room_and_plain_h5py_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    frames = [counts(n) for n in range(4)]
    write_shard(path, frames, software=SOFTWARE)
    with h5py.File(path) as file:
        data = file["entry/haadf/data"]
        assert data.chunks == (1, 64, 96)
        assert data.id.get_create_plist().get_filter(0)[0] == 32026
        assert data.id.get_storage_size() < 0.5 * data.nbytes
        np.testing.assert_array_equal(data[:], np.stack([frame.array for frame in frames]))


def test_what_cannot_be_compressed_is_stored_as_it_is_and_both_are_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 2**16, (64, 96), dtype=np.uint16)
    frames = [frame_around(noise, 0), counts(1)]
    write_shard(tmp_path / "a.h5", frames, software=SOFTWARE)
    with h5py.File(tmp_path / "a.h5") as file:
        data = file["entry/haadf/data"]
        assert [data.id.get_chunk_info(row).filter_mask for row in range(2)] == [1, 0]
        np.testing.assert_array_equal(data[0], noise)
    for got, wrote in zip(read_all(tmp_path / "a.h5"), frames, strict=True):
        np.testing.assert_array_equal(got.array, wrote.array)


def test_without_compression_no_plug_in_is_needed(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [counts(0)], software=SOFTWARE, compression="none")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["entry/haadf/data"].id.get_create_plist().get_nfilters() == 0
    np.testing.assert_array_equal(read_all(tmp_path / "a.h5")[0].array, counts(0).array)


@pytest.mark.parametrize("shape", [(96, 64), (40, 8, 16), (9000,)])
def test_hyperspy_opens_it_with_the_right_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    hyperspy = pytest.importorskip("hyperspy.api")
    names = {2: "yx", 3: ("energy_loss", "y", "x"), 1: ("energy_loss",)}[len(shape)]
    axes = tuple(
        Axis(name=name, unit="eV" if name == "energy_loss" else "m", scale=(i + 1) * 2e-11, offset=i * 1e-9)
        for i, name in enumerate(names)
    )
    path = tmp_path / "a.h5"
    frames = [counts(n, shape, axes=axes) for n in range(3)]
    write_shard(path, frames, software=SOFTWARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = hyperspy.load(path, file_format="nexus", use_default=True)
    np.testing.assert_array_equal(signal.data, np.stack([frame.array for frame in frames]))
    found = {axis.name: axis for axis in signal.axes_manager._axes}
    assert found["sequence"].scale == 1
    for axis in axes:
        read = found[axis.name]
        assert (read.units, read.size) == (axis.unit, shape[axes.index(axis)])
        assert read.scale == pytest.approx(axis.scale)
        assert read.offset == pytest.approx(axis.offset)
    if len(shape) == 2:
        assert [axis.name for axis in signal.axes_manager.signal_axes] == ["x", "y"]
    facts = signal.original_metadata.instrument
    assert facts.source.voltage.value == 60e3
    assert facts.source.voltage.attrs.units == "V"
    assert facts.optics.convergence_angle.attrs.units == "rad"


def test_facts_that_change_are_there_for_each_frame(tmp_path: Path, make_frame: MakeFrame) -> None:
    frames = [make_frame(n) for n in range(3)]
    moved = frames[1].header.stage.model_copy(update={"x_m": 1e-6})
    frames[1] = Frame(frames[1].header.model_copy(update={"stage": moved}), frames[1].array)
    write_shard(tmp_path / "a.h5", frames, software=SOFTWARE)
    with h5py.File(tmp_path / "a.h5") as file:
        stage = file["entry/instrument/stage"]
        assert list(stage["x"]) == [0, 1e-6, 0]
        assert stage["x"].attrs["units"] == "m"
        assert stage["y"].shape == ()
        assert file["entry/definition"][()] == b"NXem"
        assert file["entry/start_time"][()] <= file["entry/end_time"][()]


def test_vendor_metadata_is_kept_verbatim_and_each_text_once(tmp_path: Path, make_frame: MakeFrame) -> None:
    said = {"Detector": {"Gain": 1e-30, "Name": "µ \x00 'quoted'"}, "Tags": [None, True, -0.0]}
    other = {"Detector": "changed"}
    frames = [make_frame(n, vendor_metadata=(said, said, None, other)[n]) for n in range(4)]
    write_shard(tmp_path / "a.h5", frames, software=SOFTWARE)
    assert [frame.header for frame in read_all(tmp_path / "a.h5")] == [frame.header for frame in frames]
    with h5py.File(tmp_path / "a.h5") as file:
        texts = file["entry/vendor/vendor_metadata"]
        assert [json.loads(text) for text in texts] == [said, other]


def test_a_stream_that_changes_its_shape_goes_on_in_a_group_of_its_own(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    shapes = [(8, 8), (8, 16), (8, 8), (4, 4)]
    frames = [make_frame(n, shape=shape) for n, shape in enumerate(shapes)]
    write_shard(tmp_path / "a.h5", frames, software=SOFTWARE)
    assert [frame.array.shape for frame in read_all(tmp_path / "a.h5")] == shapes
    with h5py.File(tmp_path / "a.h5") as file:
        assert {"haadf", "PART1_haadf", "PART2_haadf"} < set(file["entry"])


@pytest.mark.parametrize("stream", ["instrument", "sample", "definition", "vendor", "part1_haadf"])
def test_a_stream_may_have_any_name(tmp_path: Path, make_frame: MakeFrame, stream: str) -> None:
    write_shard(tmp_path / "a.h5", [make_frame(0, stream), make_frame(0)], software=SOFTWARE)
    with ShardReader(tmp_path / "a.h5") as reader:
        assert set(reader.streams) == {stream, "haadf"}


def test_version_1_is_still_read(make_frame: MakeFrame) -> None:
    with ShardReader(GOLDEN) as reader:
        assert reader.format_version == 1
        assert reader.streams == ("eels", "haadf", "mixed", "truth")
        for frame in reader.frames("haadf"):
            np.testing.assert_array_equal(frame.array, make_frame(frame.header.sequence).array)
        assert [frame.array.shape for frame in reader.frames("eels")] == [(4,), (5,), (6,)]
        assert [frame.array.dtype.name for frame in reader.frames("mixed")] == [
            "float32",
            "uint16",
            "float32",
        ]
        assert [len(frame.array) for frame in reader.frames("truth")] == [0, 1, 2]


def test_a_chunk_lies_where_the_builder_said_before_the_file_is_closed(tmp_path: Path) -> None:
    builder = ShardBuilder(tmp_path / "a.h5", software=SOFTWARE)
    frames = [counts(n, stream=stream) for n in range(3) for stream in ("haadf", "bf")]
    chunks = [store_array(frame.array, "blosc2-lz4") for frame in frames]
    places = [builder.append_chunk(f.header, chunk) for f, chunk in zip(frames, chunks, strict=True)]
    builder.write_chunks()
    content = (tmp_path / "a.h5").read_bytes()
    for place, chunk in zip(places, chunks, strict=True):
        assert content[place.offset : place.offset + place.size_bytes] == chunk.content
    builder.close()
    content = (tmp_path / "a.h5").read_bytes()
    assert all(content[p.offset :][: p.size_bytes] == c.content for p, c in zip(places, chunks, strict=True))


def test_rows_in_the_order_of_arrival_are_read_in_the_order_of_acquisition(tmp_path: Path) -> None:
    builder = ShardBuilder(tmp_path / "a.h5", software=SOFTWARE)
    for sequence in (2, 0, 1):
        builder.append_chunk(counts(sequence).header, store_array(counts(sequence).array, "none"))
    builder.close()
    for sequence, frame in enumerate(read_all(tmp_path / "a.h5")):
        assert frame.header.sequence == sequence
        np.testing.assert_array_equal(frame.array, counts(sequence).array)


def packed(array: np.ndarray, **settings: Any) -> bytes:
    """A Blosc2 frame as the filter makes it, or with other settings."""
    fields = {"codec": blosc2.Codec.LZ4, "filters": [blosc2.Filter.BITSHUFFLE], "typesize": 2, **settings}
    return blosc2.SChunk(chunksize=array.nbytes, data=array, contiguous=True, cparams=fields).to_cframe()


ZEROS = np.zeros((64, 96), np.uint16)
CHUNKS: dict[str, StoredChunk] = {
    "a bomb: unfolds into 256 MiB": StoredChunk(packed(np.zeros(1 << 27, np.uint16)), 0),
    "unfolds into too little": StoredChunk(packed(ZEROS[:32]), 0),
    "another codec": StoredChunk(packed(ZEROS, codec=blosc2.Codec.ZSTD), 0),
    "another filter": StoredChunk(packed(ZEROS, filters=[blosc2.Filter.DELTA]), 0),
    "no Blosc2 at all": StoredChunk(b"\x01" * 500, 0),
    "nothing": StoredChunk(b"\x00", 0),
    "as it is, too short": StoredChunk(bytes(64 * 96), 1),
    "as it is, too long": StoredChunk(bytes(64 * 96 * 4), 1),
    "a mask of filters that are not there": StoredChunk(packed(ZEROS), 6),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_chunk_that_is_not_what_its_header_announces_is_refused(tmp_path: Path, kind: str) -> None:
    builder = ShardBuilder(tmp_path / "a.h5", software=SOFTWARE)
    builder.append_chunk(counts(0).header, CHUNKS[kind])
    builder.close()
    with pytest.raises(DataFormatError, match=r"chunk|takes|announces"):
        read_all(tmp_path / "a.h5")


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "szip"}, {"fletcher32": True}])
def test_other_filters_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [counts(0)], software=SOFTWARE)
    with h5py.File(path, "r+") as file:
        group = file["entry/haadf"]
        del group["data"]
        try:
            group.create_dataset("data", (1, 64, 96), np.uint16, chunks=(1, 64, 96), **options)
        except ValueError:
            pytest.skip(f"this HDF5 has no {options}")
    with pytest.raises(DataFormatError, match="filters"):
        read_all(path)


MEDDLING: dict[str, Callable[[h5py.Group], object]] = {
    "one number twice": lambda entry: entry["haadf/headers"].__setitem__(0, entry["haadf/headers"][1]),
    "vendor metadata that is not there": lambda entry: entry["haadf/vendor_index"].__setitem__(0, 7),
    "vendor metadata that is no object": lambda entry: entry["vendor/vendor_metadata"].__setitem__(0, b"[1]"),
    "larger chunks": lambda entry: (
        entry["haadf"].__delitem__("data"),
        entry["haadf"].create_dataset("data", (2, 64, 96), np.uint16, chunks=(2, 64, 96)),
    ),
    "a chunk that was never written": lambda entry: (
        entry["haadf"].__delitem__("data"),
        entry["haadf"].create_dataset("data", (2, 64, 96), np.uint16, chunks=(1, 64, 96)),
    ),
    "another stream's name": lambda entry: entry["haadf"].attrs.__setitem__("stream", "bf"),
}


@pytest.mark.parametrize("meddling", MEDDLING)
def test_a_shard_of_version_2_that_was_meddled_with_is_refused(tmp_path: Path, meddling: str) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [counts(n, vendor_metadata={"a": 1}) for n in range(2)], software=SOFTWARE)
    with h5py.File(path, "r+") as file:
        MEDDLING[meddling](file["entry"])
    with pytest.raises(DataFormatError):
        read_all(path)
