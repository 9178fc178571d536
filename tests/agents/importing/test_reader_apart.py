"""A reader that hangs, dies or swells costs the file it read, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from eucentric_agents.vendor_files import ApartReader, VendorReaderError, load_signals
from eucentric_core import DataFormatError

from .vendor_files import axis, write_hspy

WAIT_S = 30.0
NANOMETRES = (axis("y", "nm", 0.1), axis("x", "nm", 0.1))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_hspy(tmp_path / "good.hspy", np.arange(400, dtype="uint16").reshape(20, 20), NANOMETRES)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that never has anything to read."""
    path = tmp_path / "endless.dm3"
    os.mkfifo(path)
    return path


def test_it_reads_what_reading_here_gives(reader: ApartReader, good: Path) -> None:
    (apart,), (here,) = reader.read(good), load_signals(good)
    np.testing.assert_array_equal(apart.data, here.data)
    assert (apart.axes, apart.metadata, apart.original_metadata) == (
        here.axes,
        here.metadata,
        here.original_metadata,
    )
    first = reader.pid
    reader.read(good)
    assert reader.pid == first


def test_a_reader_that_hangs_is_ended_and_the_next_file_is_read(
    tmp_path: Path, good: Path, endless: Path
) -> None:
    with ApartReader(tmp_path, timeout_s=3.0) as reader:
        with pytest.raises(VendorReaderError, match="not done after 3 s") as refused:
            reader.read(endless)
        assert "ended" in refused.value.safe
        assert reader.pid is None
    with ApartReader(tmp_path) as reader:
        assert reader.read(good)[0].data.shape == (20, 20)


def once_opened(pipe: Path, do: Callable[[], None]) -> None:
    """Do something as soon as somebody has opened a pipe to read from it."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        # Nobody can open it to write, without waiting, before somebody reads.
        with suppress(OSError):
            writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            try:
                do()
            finally:
                os.close(writing)
            return
        time.sleep(0.01)
    pytest.fail("nobody opened it")


def test_a_reader_that_crashes_is_replaced(reader: ApartReader, good: Path, endless: Path) -> None:
    reader.read(good)
    victim = reader.pid
    assert victim is not None
    with ThreadPoolExecutor(1) as threads:
        killed = threads.submit(once_opened, endless, psutil.Process(victim).kill)
        with pytest.raises(VendorReaderError, match="crashed"):
            reader.read(endless)
        killed.result()
    assert reader.read(good)[0].data.shape == (20, 20)
    assert reader.pid not in (None, victim)


def test_a_file_that_unfolds_to_more_than_the_memory_is_refused(tmp_path: Path, good: Path) -> None:
    path = write_hspy(tmp_path / "bomb.hspy", np.zeros((4, 4), "uint8"), NANOMETRES)
    side = 40_000
    with h5py.File(path, "a") as file:
        (experiment,) = file["Experiments"].values()
        del experiment["data"]
        experiment.create_dataset("data", (side, side), "uint8", chunks=(1000, 1000), compression="gzip")
        for name in ("axis-0", "axis-1"):
            experiment[name].attrs["size"] = side
    assert path.stat().st_size < 1 << 20
    with ApartReader(tmp_path, memory_bytes=800 << 20) as reader:
        reader.read(good)
        first = reader.pid
        with pytest.raises(DataFormatError, match="memory"):
            reader.read(path)
        assert reader.read(good)[0].data.shape == (20, 20)
        # Where the platform bounds memory, the allocation fails before the process has to be ended.
        assert reader.pid == first


def test_a_reader_that_swells_is_ended(tmp_path: Path, good: Path) -> None:
    with ApartReader(tmp_path, memory_bytes=1 << 20) as reader:
        with pytest.raises(VendorReaderError, match="used more memory"):
            reader.read(good)
        assert reader.pid is None


@pytest.mark.parametrize("content", [b"", b"not a file of a vendor", os.urandom(4096)])
@pytest.mark.parametrize("suffix", [".dm3", ".dm4", ".emd", ".ser", ".mrc", ".tif", ".hspy", ".blo", ".h5"])
def test_a_damaged_file_is_a_typed_refusal(
    reader: ApartReader, tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match="file"):
        reader.read(path)


def test_nothing_is_left_behind(tmp_path: Path, good: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with ApartReader(tmp_path) as reader:
        reader.read(good)
        pid = reader.pid
    assert sorted(tmp_path.iterdir()) == before
    assert pid is not None
    deadline = time.monotonic() + WAIT_S
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)


def test_a_file_that_is_not_there_and_a_suffix_that_nobody_knows(reader: ApartReader, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"no reader knows the suffix '\.xyz'"):
        reader.read(tmp_path / "a.xyz")
    with pytest.raises(DataFormatError, match="cannot be read"):
        reader.read(tmp_path / "a.dm3")
