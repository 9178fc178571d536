"""What is given is what was registered: a file is hashed before its frames are given, once if it stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import DataFormatError, IntegrityError, ServiceUnavailableError, sha256_file
from eucentric_data_repository import Database, _intact, verify_shards


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """Files are the same with each kind of database."""
    return Database.at(repository_folders.database)


@pytest.fixture
def filled(repository: Any, sender: Any) -> Any:
    for index in range(2):
        sender.deliver(sender.seal([2 * index, 2 * index + 1], index=index))
    repository.ingest()
    return repository


def sequences(catalogue: Any) -> list[int]:
    return [frame.header.sequence for frame in catalogue.frames("s1", "haadf")]


def test_frames_of_a_damaged_shard_are_not_given(filled: Any) -> None:
    with filled.catalogue() as catalogue:
        assert sequences(catalogue) == [0, 1, 2, 3]
        second = catalogue.shards()[1]
        content = bytearray(second.path.read_bytes())
        content[-1] ^= 1
        second.path.write_bytes(content)
        given = catalogue.frames("s1", "haadf")
        assert [next(given).header.sequence for _ in range(2)] == [0, 1]
        with pytest.raises(IntegrityError, match="is damaged") as refused:
            next(given)
        assert "eucentric data verify" in refused.value.next_step
        second.path.unlink()
        with pytest.raises(DataFormatError, match="is missing"):
            sequences(catalogue)


def test_a_file_is_hashed_once_for_each_of_its_states(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(path: Path) -> str:
        asked.append(path)
        return sha256_file(path)

    monkeypatch.setattr(_intact, "sha256_file", counted)
    with filled.catalogue() as catalogue:
        for _ in range(3):
            sequences(catalogue)
        assert len(asked) == 2
        os.utime(catalogue.shards()[0].path, ns=(1, 1))
        sequences(catalogue)
        assert len(asked) == 3


def test_no_more_hashes_are_kept_than_the_limit(filled: Any) -> None:
    hashes = _intact._Hashes(limit=1)
    with filled.catalogue() as catalogue:
        for entry in catalogue.shards():
            assert hashes.of(entry.path) == entry.shard.sha256
    assert len(hashes._known) == 1


def test_a_root_that_is_not_mounted_is_no_loss_of_every_shard(filled: Any) -> None:
    root = filled.folders.root
    with filled.catalogue() as catalogue:
        # The connection stays open, as one to another machine would.
        assert all(finding.is_well for finding in verify_shards(catalogue))
        found = verify_shards(catalogue)
        next(found)
        root.rename(root.with_name("away"))
        root.mkdir()
        with pytest.raises(ServiceUnavailableError, match="is away"):
            next(found)
        with pytest.raises(ServiceUnavailableError, match="is away") as refused:
            list(verify_shards(catalogue))
        assert "mount it" in refused.value.next_step
        with pytest.raises(ServiceUnavailableError, match="is away"):
            sequences(catalogue)
