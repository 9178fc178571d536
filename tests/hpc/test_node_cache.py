"""Training data staged by content on a node's own disk."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_core import IntegrityError
from eucentric_hpc import NodeCache, staged


def source(tmp_path: Path, content: bytes) -> tuple[Path, str]:
    path = tmp_path / f"{content[:4].decode()}.npz"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_data_are_copied_once_and_then_taken_from_the_node(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", 1000)
    path, sha256 = source(tmp_path, b"data" * 25)
    copy = cache.take(path, sha256)
    assert copy != path
    assert copy.read_bytes() == b"data" * 25
    inode = copy.stat().st_ino
    assert cache.take(path, sha256).stat().st_ino == inode


def test_a_copy_that_was_changed_is_made_anew(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", 1000)
    path, sha256 = source(tmp_path, b"data" * 25)
    cache.take(path, sha256).write_bytes(b"evil" * 25)
    assert cache.take(path, sha256).read_bytes() == b"data" * 25


def test_a_source_that_is_not_what_it_should_be_is_refused(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", 1000)
    path, sha256 = source(tmp_path, b"data" * 25)
    path.write_bytes(b"else" * 25)
    with pytest.raises(IntegrityError, match="was expected"):
        cache.take(path, sha256)
    assert [entry for entry in (tmp_path / "cache").iterdir() if not entry.name.endswith(".lock")] == []


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", 250)
    files = [source(tmp_path, name * 25) for name in (b"aaaa", b"bbbb", b"cccc")]
    first, second = (cache.take(*files[index]) for index in (0, 1))
    os.utime(first, (2, 2))
    os.utime(second, (1, 1))
    third = cache.take(*files[2])
    assert [path.exists() for path in (first, second, third)] == [True, False, True]
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 250


def test_a_file_larger_than_the_cache_is_read_where_it_lies(tmp_path: Path) -> None:
    path, sha256 = source(tmp_path, b"data" * 25)
    assert NodeCache(tmp_path / "cache", 50).take(path, sha256) == path


def test_workers_of_a_node_share_it(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "cache", 1 << 20)
    path, sha256 = source(tmp_path, b"data" * 10_000)
    with ThreadPoolExecutor(8) as threads:
        copies = list(threads.map(lambda _: cache.take(path, sha256), range(32)))
    assert len(set(copies)) == 1
    assert [entry for entry in cache.folder.iterdir() if entry.name.endswith(".part")] == []


def test_a_worker_without_a_cache_reads_where_the_data_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = source(tmp_path, b"data" * 25)
    assert staged(path, sha256) == path
    monkeypatch.setenv("EUCENTRIC_NODE_CACHE", str(tmp_path / "cache"))
    assert staged(path, sha256) == tmp_path / "cache" / sha256
