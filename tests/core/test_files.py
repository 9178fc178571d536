"""A reader sees all of a file or none of it, also when the disk is full."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_core import OutOfSpaceError, require_free_space, sha256_file, write_atomic

# In a process of its own, because the limit cannot be lifted again.
WRITE_UNDER_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
from eucentric_core import OutOfSpaceError, write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomic(Path(sys.argv[1]), b"new" * 4096)
except OutOfSpaceError as error:
    print(error.code)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting needs root; the file size limit is tested without")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    path = small_disk / "manifest.json"
    write_atomic(path, b"old")
    with pytest.raises(OutOfSpaceError, match=r"No room to write manifest\.json \(200000 bytes\)"):
        write_atomic(path, bytes(200_000))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in small_disk.iterdir()] == ["manifest.json"]
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_file_size_limit_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_atomic(path, b"old")
    outcome = subprocess.run(
        [sys.executable, "-c", WRITE_UNDER_A_LIMIT, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert outcome.stdout.strip() == "out_of_space"
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


def test_a_missing_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "file", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "name" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "name", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["name"]


def test_many_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    contents = [bytes([number]) * 20_000 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_atomic(path, content), contents))
    assert path.read_bytes() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["receipt.json"]


def test_the_longest_name_we_make_can_be_written(tmp_path: Path) -> None:
    shard = f"{'i' * 100}_{'s' * 100}_000000_{'0' * 12}.h5.json"
    write_atomic(tmp_path / shard, b"x")
    assert (tmp_path / shard).read_bytes() == b"x"


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "shard").write_bytes(content)
    assert sha256_file(tmp_path / "shard") == hashlib.sha256(content).hexdigest()


def test_work_is_refused_before_it_starts_when_there_is_no_room(tmp_path: Path) -> None:
    require_free_space(tmp_path / "not" / "yet" / "made", 1)
    with pytest.raises(OutOfSpaceError) as caught:
        require_free_space(tmp_path, 1 << 60)
    assert caught.value.details["needed_bytes"] == 1 << 60
