"""A data set is copied whole and right, goes on where it stopped, and overwrites nobody's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_core import ConfigurationError, DataFormatError, IntegrityError, RetentionRule, sha256_file
from eucentric_data_repository import Database, Selection, fetch_dataset, prune
from eucentric_transfer import ShardReader

from ..frames import frame_around


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """Copies do not depend on the kind of database."""
    return Database.at(repository_folders.database)


@pytest.fixture
def filled(repository: Any, sender: Any) -> Any:
    for index in range(3):
        frames = [
            frame_around(np.full((8, 8), n, np.float32), n, stream)
            for n in range(2 * index, 2 * index + 2)
            for stream in ("bf", "haadf")
        ]
        sender.deliver(sender.seal_frames(frames, index=index))
    repository.ingest()
    return repository


def fetch(repository: Any, folder: Path, **selection: Any) -> list[Path]:
    with repository.catalogue() as catalogue:
        return fetch_dataset(catalogue, "twin.s1", folder, Selection(**selection))


def test_a_whole_data_set_is_copied_with_its_hashes(filled: Any, sender: Any, tmp_path: Path) -> None:
    told: list[int] = []
    with filled.catalogue() as catalogue:
        files = fetch_dataset(
            catalogue, "twin.s1", tmp_path / "out", on_start=told.append, on_bytes=told.append
        )
    assert [sha256_file(path) for path in files] == [shard.sha256 for shard in sender.sealed]
    assert told[0] == sum(told[1:]) == sum(path.stat().st_size for path in files)
    assert sorted(path.name for path in (tmp_path / "out/twin.s1").iterdir()) == [p.name for p in files]


def test_it_goes_on_where_it_was_interrupted(filled: Any, tmp_path: Path) -> None:
    files = fetch(filled, tmp_path)
    times = [path.stat().st_mtime_ns for path in files[:2]]
    files[2].unlink()
    (tmp_path / "twin.s1" / f".{files[2].name}.0.part").write_bytes(b"half")
    assert fetch(filled, tmp_path) == files
    assert [path.stat().st_mtime_ns for path in files[:2]] == times


def test_another_file_is_never_overwritten(filled: Any, tmp_path: Path) -> None:
    files = fetch(filled, tmp_path)
    files[1].write_bytes(b"somebody's notes")
    with pytest.raises(ConfigurationError, match="Another file lies"):
        fetch(filled, tmp_path)
    assert files[1].read_bytes() == b"somebody's notes"
    files[1].unlink()
    files[1].symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="Another file lies"):
        fetch(filled, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_part_of_the_sequence_is_the_shards_that_hold_it(filled: Any, sender: Any, tmp_path: Path) -> None:
    (path,) = fetch(filled, tmp_path, from_sequence=3, to_sequence=3)
    assert sha256_file(path) == sender.sealed[1].sha256
    with pytest.raises(ConfigurationError, match="no such sequence"):
        fetch(filled, tmp_path, from_sequence=99)


def test_named_streams_are_shards_of_their_own(filled: Any, tmp_path: Path) -> None:
    for _ in range(2):
        files = fetch(filled, tmp_path, streams=("haadf",))
        assert len(files) == 3
        found = []
        for path in files:
            with ShardReader(path) as reader:
                assert reader.streams == ("haadf",)
                found += [int(frame.array[0, 0]) for frame in reader.frames("haadf")]
        assert found == list(range(6))
    with pytest.raises(ConfigurationError, match="no stream 'eels'"):
        fetch(filled, tmp_path, streams=("eels",))
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(ConfigurationError, match="Another file"):
        fetch(filled, tmp_path, streams=("haadf",))


@pytest.mark.parametrize("streams", [(), ("haadf",)])
def test_a_shard_that_rotted_is_not_handed_out(filled: Any, tmp_path: Path, streams: tuple[str, ...]) -> None:
    with filled.catalogue() as catalogue:
        path = catalogue.shards()[1].path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="not what was registered"):
        fetch(filled, tmp_path / "out", streams=streams)
    assert len(list((tmp_path / "out/twin.s1").iterdir())) == 1
    path.unlink()
    with pytest.raises((DataFormatError, OSError), match=r"missing|No such file"):
        fetch(filled, tmp_path / "out")


def test_a_pruned_shard_is_said_to_be_pruned(filled: Any, sender: Any, tmp_path: Path) -> None:
    sender.deliver_manifest(sender.manifest(*sender.sealed))
    filled.ingest()
    rule = RetentionRule(name="at once", keep="days", days=0)
    with filled.catalogue() as catalogue:
        list(prune(catalogue, [rule], [], lambda _: None, dry_run=False))  # type: ignore[arg-type, return-value]
    with pytest.raises(DataFormatError, match="was pruned"):
        fetch(filled, tmp_path / "out")
    assert not (tmp_path / "out").exists()
