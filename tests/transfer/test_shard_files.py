"""A shard is a plain HDF5/NeXus file anyone can open, and a damaged one is refused, never misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from eucentric_core import DataFormatError, Frame
from eucentric_transfer import ShardReader, write_shard

MakeFrame = Callable[..., Frame]


def read_all(path: Path) -> dict[str, list[Frame]]:
    with ShardReader(path) as reader:
        return {stream: list(reader.frames(stream)) for stream in reader.streams}


def test_a_scientist_opens_a_shard_with_h5py_and_reads_calibrated_axes(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [make_frame(n, offset_m=1e-9) for n in range(3)], software="eucentric test")
    with h5py.File(path) as file:
        assert file.attrs["NX_class"] == "NXroot"
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        data = entry[entry.attrs["default"]]
        assert data.attrs["NX_class"] == "NXdata"
        signal = data[data.attrs["signal"]]
        assert signal.shape == (3, 12, 16)
        assert list(data.attrs["axes"]) == ["sequence", "y", "x"]
        assert data["x"].attrs["units"] == "m"
        assert data.attrs["x_indices"] == 2
        np.testing.assert_allclose(data["x"][:], 1e-9 + 2e-11 * np.arange(16))
        np.testing.assert_array_equal(signal[1], make_frame(1).array)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (4, 6), (2, 3, 4), (1, 2, 3, 4)])
def test_what_is_written_is_read(
    tmp_path: Path, make_frame: MakeFrame, dtype: str, shape: tuple[int, ...]
) -> None:
    frames = [make_frame(n, shape=shape, dtype=dtype) for n in (4, 7, 9)]
    write_shard(tmp_path / "a.h5", frames, software="eucentric test")
    (read,) = read_all(tmp_path / "a.h5").values()
    for wrote, got in zip(frames, read, strict=True):
        assert got.header == wrote.header
        np.testing.assert_array_equal(got.array, wrote.array)
        assert not got.array.flags.writeable


def test_lists_of_atoms_and_a_change_of_the_scan_share_a_shard_with_images(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    frames = [make_frame(n, "truth", shape=(n, 3)) for n in range(5)]
    frames += [make_frame(n, "haadf", shape=(8, 8) if n < 3 else (16, 16)) for n in range(5)]
    frames += [make_frame(n, "eels", dtype="uint16" if n % 2 else "float32") for n in range(5)]
    write_shard(tmp_path / "a.h5", list(reversed(frames)), software="eucentric test")
    read = read_all(tmp_path / "a.h5")
    assert set(read) == {"truth", "haadf", "eels"}
    for frame in frames:
        got = read[frame.header.stream][frame.header.sequence]
        assert got.header == frame.header
        np.testing.assert_array_equal(got.array, frame.array)


def test_axes_that_differ_between_frames_are_not_pretended_to_be_common(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    write_shard(
        tmp_path / "a.h5", [make_frame(0), make_frame(1, pixel_size_m=5e-11)], software="eucentric test"
    )
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["entry/haadf"].attrs["axes"]) == ["sequence", ".", "."]
    assert read_all(tmp_path / "a.h5")["haadf"][1].header.pixel_size_m == 5e-11


def test_reading_from_a_sequence_number_on(tmp_path: Path, make_frame: MakeFrame) -> None:
    write_shard(tmp_path / "a.h5", [make_frame(n) for n in range(10, 20)], software="eucentric test")
    with ShardReader(tmp_path / "a.h5") as reader:
        assert [f.header.sequence for f in reader.frames("haadf", from_sequence=17)] == [17, 18, 19]
        assert list(reader.frames("eels")) == []
        assert reader.sequences == tuple(range(10, 20))


def test_the_same_frames_give_the_same_bytes(tmp_path: Path, make_frame: MakeFrame) -> None:
    frames = [make_frame(n) for n in range(3)]
    write_shard(tmp_path / "a.h5", frames, software="eucentric test")
    write_shard(tmp_path / "b.h5", frames[::-1], software="eucentric test")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("frames", ["none", "twice the same number", "two sessions"])
def test_a_wrong_group_of_frames_is_not_written(tmp_path: Path, make_frame: MakeFrame, frames: str) -> None:
    group = {
        "none": [],
        "twice the same number": [make_frame(1), make_frame(1)],
        "two sessions": [make_frame(1), make_frame(2, session="s2")],
    }[frames]
    with pytest.raises(DataFormatError):
        write_shard(tmp_path / "a.h5", group, software="eucentric test")
    assert not (tmp_path / "a.h5").exists()


def test_a_truncated_shard_is_refused_wherever_it_ends(tmp_path: Path, make_frame: MakeFrame) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [make_frame(n) for n in range(3)], software="eucentric test")
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(DataFormatError):
            read_all(path)


def test_flipped_bits_never_end_in_anything_but_frames_or_a_typed_error(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [make_frame(n, shape=(3, 3)) for n in range(2)], software="eucentric test")
    content = path.read_bytes()
    refused = 0
    for position in np.random.default_rng(1).integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_all(path)
        except DataFormatError:
            refused += 1
    assert refused > 0


def overwrite(group: h5py.Group, name: str, data: object) -> None:
    del group[name]
    group[name] = data


MEDDLING: dict[str, Callable[[h5py.File], object]] = {
    "another format": lambda file: file.attrs.__setitem__("format", "nexus"),
    "a later version": lambda file: file.attrs.__setitem__("format_version", 99),
    "no streams": lambda file: file["entry"].__delitem__("haadf"),
    "another session": lambda file: file.attrs.__setitem__("session", "s9"),
    "a header that is no JSON": lambda file: file["entry/haadf/headers"].__setitem__(0, b"{"),
    "a header of another shape": lambda file: overwrite(
        file["entry/haadf"], "data", np.zeros((3, 12, 15), np.float32)
    ),
    "another dtype": lambda file: overwrite(file["entry/haadf"], "data", np.zeros((3, 12, 16), np.float64)),
    "a missing array": lambda file: file["entry/haadf"].__delitem__("data"),
    "data in another file": lambda file: overwrite(
        file["entry/haadf"], "data", h5py.ExternalLink("/etc/hostname", "/data")
    ),
    "a stream that is a link": lambda file: overwrite(file["entry"], "haadf", h5py.SoftLink("/entry")),
}


@pytest.mark.parametrize("meddling", MEDDLING)
def test_a_shard_that_was_meddled_with_is_refused(
    tmp_path: Path, make_frame: MakeFrame, meddling: str
) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [make_frame(n) for n in range(3)], software="eucentric test")
    with h5py.File(path, "r+") as file:
        MEDDLING[meddling](file)
    with pytest.raises(DataFormatError, match="quarantine"):
        read_all(path)


def test_a_shard_that_keeps_its_data_in_another_file_is_refused(
    tmp_path: Path, make_frame: MakeFrame
) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, [make_frame(n) for n in range(3)], software="eucentric test")
    (tmp_path / "secret.bin").write_bytes(bytes(3 * 12 * 16 * 4))
    with h5py.File(path, "r+") as file:
        del file["entry/haadf/data"]
        outside = [(str(tmp_path / "secret.bin"), 0, 3 * 12 * 16 * 4)]
        file["entry/haadf"].create_dataset("data", (3, 12, 16), np.float32, external=outside)
    with pytest.raises(DataFormatError, match="another file"):
        read_all(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_something_else_under_the_name_of_a_shard_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(DataFormatError):
        ShardReader(tmp_path / "a.h5")


def test_a_missing_shard_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="missing"):
        ShardReader(tmp_path / "a.h5")
