"""The file under an open shard: whatever way its chunks are written, it holds what HDF5 meant it to hold."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eucentric_transfer._chunk_memory import has_huge_pages, lend_memory
from eucentric_transfer._direct import BLOCK_BYTES, DIRECT_FROM_BYTES
from eucentric_transfer._shard_file import ShardFile

LARGE_BYTES = 2 * DIRECT_FROM_BYTES

Step = tuple[int, bytes, bool]
"""Where HDF5 writes what, and whether that is a chunk."""


@pytest.fixture(params=["past the cache", "through the cache", "without vectors"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file on a system that has all ways of writing, or not."""
    if request.param == "past the cache" and not hasattr(os, "O_DIRECT"):
        pytest.skip("this system writes through its cache")
    if request.param != "past the cache":
        monkeypatch.delattr(os, "O_DIRECT", raising=False)
    if request.param == "without vectors":
        monkeypatch.setattr("eucentric_transfer._shard_file._HAS_VECTORS", False)
    return tmp_path / "shard"


@pytest.fixture
def file(path: Path) -> Iterator[ShardFile]:
    """An open file."""
    opened = ShardFile(path)
    yield opened
    opened.release()


def noise(seed: int, n_bytes: int) -> bytes:
    return np.random.default_rng(seed).bytes(n_bytes)


def write(file: ShardFile, offset: int, content: bytes | memoryview, *, chunk: bool) -> None:
    file.seek(offset)
    if chunk:
        file.expect(content)
    file.write(memoryview(content))
    file.expect(None)


def steps_of(seed: int) -> list[Step]:
    """Chunks that begin blocks, each behind all others, and small writes before, between and behind."""
    random = np.random.default_rng(seed)
    end, steps = 2048, [(0, noise(seed, 96), False)]
    for number in range(24):
        begin = -(-end // BLOCK_BYTES) * BLOCK_BYTES
        size_bytes = int(random.integers(DIRECT_FROM_BYTES // 2, LARGE_BYTES))
        if random.random() < 0.3:
            size_bytes = size_bytes // BLOCK_BYTES * BLOCK_BYTES
        if random.random() < 0.2:
            # A hole, as HDF5 leaves it when it has room elsewhere.
            begin += BLOCK_BYTES
        end = begin + size_bytes
        steps.append((begin, noise(number, size_bytes), True))
        if random.random() < 0.5:
            steps.append((end, noise(number + 100, int(random.integers(1, 600))), False))
            end += 600
        if random.random() < 0.3:
            steps.append((int(random.integers(0, 1900)), noise(number + 200, 100), False))
    return steps


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_file_holds_what_was_written_in_its_order(
    file: ShardFile, path: Path, seed: int, staged: bool
) -> None:
    expected = bytearray()
    for number, (offset, content, chunk) in enumerate(steps_of(seed)):
        write(file, offset, content, chunk=chunk)
        expected.extend(bytes(max(0, offset + len(content) - len(expected))))
        expected[offset : offset + len(content)] = content
        if staged and number % 2:
            file.stage_chunks()
        if number % 5 == 4:
            file.write_chunks()
    file.truncate(len(expected))
    file.sync()
    assert path.read_bytes() == bytes(expected)


def test_what_waits_is_read_back(file: ShardFile) -> None:
    chunk = noise(1, LARGE_BYTES + 100)
    write(file, BLOCK_BYTES, chunk, chunk=True)
    write(file, 10, b"small", chunk=False)
    found = bytearray(LARGE_BYTES)
    file.seek(BLOCK_BYTES)
    file.readinto(memoryview(found))
    assert found == chunk[:LARGE_BYTES]
    file.seek(10)
    file.readinto(memoryview(found)[:5])
    assert found[:5] == b"small"


def test_chunks_are_written_from_where_they_lie_or_through_a_buffer(file: ShardFile, path: Path) -> None:
    ready = lend_memory(LARGE_BYTES)
    ready[:] = np.frombuffer(noise(2, LARGE_BYTES), np.uint8)
    larger_than_the_buffer = noise(3, (17 << 20) + 7)
    chunks: list[bytes | memoryview] = [
        ready.data,
        larger_than_the_buffer,
        ready.data,
        noise(4, LARGE_BYTES - 1),
    ]
    offsets, end = [], BLOCK_BYTES
    for chunk in chunks:
        offsets.append(end)
        write(file, end, chunk, chunk=True)
        end = -(-(end + len(chunk)) // BLOCK_BYTES) * BLOCK_BYTES
    file.write_chunks()
    content = path.read_bytes()
    for offset, chunk in zip(offsets, chunks, strict=True):
        assert content[offset : offset + len(chunk)] == bytes(chunk)


def test_a_staged_chunk_is_written_as_it_was_when_it_was_staged(file: ShardFile, path: Path) -> None:
    if not (has_huge_pages() and hasattr(os, "O_DIRECT")):
        pytest.skip("nothing is staged here")
    memory = mmap.mmap(-1, LARGE_BYTES)
    memory[:] = before = noise(8, LARGE_BYTES)
    write(file, BLOCK_BYTES, memoryview(memory), chunk=True)
    file.stage_chunks()
    memory[:] = bytes(LARGE_BYTES)
    file.write_chunks()
    assert path.read_bytes()[BLOCK_BYTES:] == before


def test_a_chunk_in_a_gap_leaves_alone_what_lies_behind_it(file: ShardFile, path: Path) -> None:
    behind = noise(5, 300)
    chunk = noise(6, LARGE_BYTES + 17)
    write(file, BLOCK_BYTES + len(chunk), behind, chunk=False)
    file.write_chunks()
    write(file, BLOCK_BYTES, chunk, chunk=True)
    file.write_chunks()
    assert path.read_bytes()[BLOCK_BYTES:] == chunk + behind


def test_chunks_with_room_between_them_leave_what_is_written_there(file: ShardFile, path: Path) -> None:
    first, second, between = noise(1, LARGE_BYTES), noise(2, LARGE_BYTES), noise(3, 700)
    begin = 2 * BLOCK_BYTES + LARGE_BYTES
    write(file, BLOCK_BYTES, first, chunk=True)
    write(file, begin, second, chunk=True)
    write(file, begin - BLOCK_BYTES, between, chunk=False)
    file.write_chunks()
    expected = bytes(BLOCK_BYTES) + first + between + bytes(BLOCK_BYTES - len(between)) + second
    assert path.read_bytes() == expected


def test_a_file_that_is_given_up_gets_nothing_more(file: ShardFile, path: Path) -> None:
    write(file, 0, noise(7, LARGE_BYTES), chunk=True)
    file.abandon()
    write(file, LARGE_BYTES, b"late", chunk=False)
    file.truncate(10)
    file.write_chunks()
    assert path.read_bytes() == b""


def test_what_was_handed_over_later_does_not_wait_to_be_written_with_the_rest(
    file: ShardFile, path: Path
) -> None:
    first, second = noise(1, LARGE_BYTES), noise(2, LARGE_BYTES)
    write(file, BLOCK_BYTES, first, chunk=True)
    known = file.known
    write(file, BLOCK_BYTES + LARGE_BYTES, second, chunk=True)

    file.write_chunks(known)
    assert path.read_bytes() == bytes(BLOCK_BYTES) + first
    file.write_chunks(known)
    assert path.stat().st_size == BLOCK_BYTES + LARGE_BYTES
    file.write_chunks()
    assert path.read_bytes() == bytes(BLOCK_BYTES) + first + second


def test_a_process_ends_with_an_open_shard(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, eucentric_transfer\n"
        "kept = eucentric_transfer.ShardBuilder(pathlib.Path(sys.argv[1]), software='test')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "open.h5")], check=False)
    assert ended.returncode == 0
