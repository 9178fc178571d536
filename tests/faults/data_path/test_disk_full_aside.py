"""A full disk where something is set aside or taken out: a typed error, nothing lost, nothing by halves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from eucentric_agents.recording import Journal
from eucentric_core import DatasetManifest, OutOfSpaceError, Shard, sha256_file, utc_now
from eucentric_data_repository import (
    Catalogue,
    Inbox,
    Registrar,
    RepositoryFolders,
    Selection,
    fetch_dataset,
    ingest_once,
    verify_shards,
)
from eucentric_data_repository.export import Citation, export_crate, export_ome_zarr
from eucentric_transfer import PosixMover, write_shard

from ...frames import build_frame, frame_around
from ...small_disk import MIB, Filler, small_disk
from .outbox import local

DISK_BYTES = 16 * MIB
POISON = frame_around(np.full((256, 256), np.nan, np.float32), 1)
POISON_BYTES = POISON.array.nbytes
SHAPE = (256, 256)
FRAMES = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as place:
        yield place


# For nothing, for half of the bytes, for the bytes and not for their reason.
@pytest.mark.parametrize("left_bytes", [0, POISON_BYTES // 2, POISON_BYTES])
def test_poison_that_finds_no_room_is_not_acknowledged_and_set_aside_once_there_is(
    disk: Path, left_bytes: int
) -> None:
    journal = Journal(disk / "recording", frames_per_shard=4, min_free_bytes=0)
    journal.append(build_frame(0, shape=SHAPE))
    journal.sync()
    filler, quarantine = Filler(disk), disk / "recording" / "quarantine"
    filler.leave(left_bytes)
    before = journal.quarantine.size_bytes
    for _ in range(3):
        with pytest.raises(OutOfSpaceError):
            journal.append(POISON)
    assert list(quarantine.glob("*.reason.json")) == []
    filler.go()
    assert journal.append(POISON) == "quarantined"
    content, reason = sorted(quarantine.iterdir())
    assert content.read_bytes() == POISON.array.tobytes()
    assert json.loads(reason.read_text())["kind"] == "not_finite"
    assert journal.quarantine.size_bytes - before == sum(file.stat().st_size for file in (content, reason))
    journal.append(build_frame(2, shape=SHAPE))
    journal.sync()
    journal.stop_session("twin", "s1", frames=3)
    while journal.open_sessions:
        journal.tidy()
    assert len(local(journal)) == 1
    journal.close()


def deliver(folders: RepositoryFolders, sequences: range, index: int, *, more: tuple[str, ...] = ()) -> Shard:
    """A shard of the stream `haadf` and perhaps `more`, and its document, in the incoming folder."""
    work, streams = folders.incoming / ".work", (*more, "haadf")
    frames = [build_frame(number, stream, shape=SHAPE) for number in sequences for stream in streams]
    write_shard(work, frames, software="eucentric 0.test")
    shard = Shard(
        instrument="twin",
        session="s1",
        index=index,
        first_sequence=sequences[0],
        last_sequence=sequences[-1],
        frames=len(sequences),
        streams=streams,
        sha256=sha256_file(work),
        size_bytes=work.stat().st_size,
        sealed_utc=utc_now(),
        simulated=True,
    )
    work.replace(folders.incoming / shard.file_name)
    (folders.incoming / f"{shard.file_name}.json").write_text(shard.model_dump_json())
    return shard


def test_a_refused_shard_that_finds_no_room_waits_in_the_incoming_folder(disk: Path) -> None:
    folders = RepositoryFolders(disk)
    folders.make()
    with Registrar(folders.database, registered_by="repository-1") as registrar:
        bad, good = deliver(folders, range(4), 0), deliver(folders, range(4, 8), 1)
        (folders.incoming / bad.file_name).write_bytes(b"rotten")
        before = {path.name: path.read_bytes() for path in folders.incoming.iterdir()}
        filler = Filler(disk)
        filler.leave(0)
        with pytest.raises(OutOfSpaceError):
            ingest_once(disk, registrar)
        assert {path.name: path.read_bytes() for path in folders.incoming.iterdir()} == before
        assert list(folders.quarantine.iterdir()) == []
        assert list(folders.receipts.iterdir()) == []
        filler.go()
        assert [event.kind for event in ingest_once(disk, registrar)] == ["shard.registered"]
    assert [path.name for path in folders.receipts.iterdir()] == [f"{good.file_name}.json"]
    assert (folders.quarantine / bad.file_name).read_bytes() == b"rotten"
    assert list(folders.incoming.iterdir()) == []


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """A complete data set of two shards, on another disk than the one that fills up."""
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    half = FRAMES // 2
    shards = (deliver(folders, range(half), 0), deliver(folders, range(half, FRAMES), 1))
    manifest = DatasetManifest(instrument="twin", session="s1", shards=shards, closed_utc=utc_now())
    (folders.incoming / "twin.s1.dataset.json").write_text(manifest.model_dump_json())
    with Registrar(folders.database, registered_by="repository-1") as registrar:
        ingest_once(folders.root, registrar)
    with Catalogue(folders.database) as catalogue:
        yield catalogue


Export = Callable[[Catalogue, Path, Callable[[int, int], None]], Path]


def as_ome_zarr(catalogue: Catalogue, out: Path, progress: Callable[[int, int], None]) -> Path:
    return export_ome_zarr(catalogue, "twin.s1", out, progress=progress)


def as_crate(catalogue: Catalogue, out: Path, progress: Callable[[int, int], None]) -> Path:
    citation = Citation.model_validate(
        {
            "title": "A full disk",
            "creators": [{"name": "Hopper, Grace"}],
            "publisher": "Eucentric",
            "year": 2026,
            "licence": "CC-BY-4.0",
        }
    )
    return export_crate(catalogue, "twin.s1", out, citation=citation, progress=progress)


@pytest.mark.parametrize("when", ["at once", "in between", "at the end"])
@pytest.mark.parametrize("export", [as_ome_zarr, as_crate])
def test_an_export_that_finds_no_room_leaves_nothing_under_its_name(
    disk: Path, catalogue: Catalogue, export: Export, when: str
) -> None:
    out, filler = disk / "out", Filler(disk)
    out.mkdir()

    def fill(done: int, total: int) -> None:
        if when == "in between" or done == total:
            filler.leave(0)

    if when == "at once":
        filler.leave(MIB // 4)
    with pytest.raises(OutOfSpaceError) as caught:
        export(catalogue, out, fill)
    assert caught.value.next_step
    assert list(out.iterdir()) == []
    filler.go()
    assert all(found.state == "intact" for found in verify_shards(catalogue))
    written = export(catalogue, out, lambda _done, _total: None)
    assert [path.name for path in out.iterdir()] == [written.name]


@pytest.mark.parametrize("streams", [(), ("haadf",)], ids=["whole shards", "one stream of them"])
@pytest.mark.parametrize("when", ["at once", "in between"])
def test_a_copy_that_finds_no_room_keeps_what_is_whole_and_goes_on_later(
    disk: Path, tmp_path: Path, when: str, streams: tuple[str, ...]
) -> None:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    shards = [
        deliver(folders, range(4 * index, 4 * index + 4), index, more=("bf",) if streams else ())
        for index in range(2)
    ]
    with Registrar(folders.database, registered_by="repository-1") as registrar:
        ingest_once(folders.root, registrar)
    filler, done = Filler(disk), 0

    def note(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        if done >= shards[0].size_bytes:
            filler.leave(0)

    with Catalogue(folders.database) as catalogue:

        def fetch(on_bytes: Callable[[int], None]) -> list[Path]:
            return fetch_dataset(
                catalogue, "twin.s1", disk / "out", Selection(streams=streams), on_bytes=on_bytes
            )

        if when == "at once":
            filler.leave(shards[0].size_bytes // 4)
        with pytest.raises(OutOfSpaceError) as caught:
            fetch(note)
        assert "free space" in caught.value.next_step
        left = sorted(path for path in disk.rglob("*") if path.is_file() and path.name != "filler")
        assert len(left) <= 1, "half a file stays"
        filler.go()
        before = [path.stat().st_ino for path in left]
        files = fetch(lambda _bytes: None)
        assert len(files) == 2
        assert [path.stat().st_ino for path in left] == before
        if not streams:
            assert [sha256_file(path) for path in files] == [shard.sha256 for shard in shards]


def take_from(inbox: Inbox, folders: RepositoryFolders, registrar: Registrar) -> None:
    inbox.fetch()
    ingest_once(folders.root, registrar)


def test_an_inbox_that_finds_no_room_here_empties_nothing_there(disk: Path, tmp_path: Path) -> None:
    far, folders = RepositoryFolders(tmp_path / "far"), RepositoryFolders(disk)
    far.make()
    folders.make()
    shards = [deliver(far, range(4 * index, 4 * index + 4), index) for index in range(2)]
    before = {path.name: path.read_bytes() for path in far.incoming.iterdir()}
    inbox, filler = Inbox(PosixMover(far.root), folders), Filler(disk)
    with Registrar(folders.database, registered_by="repository-1") as registrar:
        for left_bytes in (0, shards[0].size_bytes // 2, shards[0].size_bytes + (8 << 10)):
            filler.leave(left_bytes)
            with pytest.raises(OutOfSpaceError):
                take_from(inbox, folders, registrar)
            inbox.answer()
            there = {path.name: path.read_bytes() for path in far.incoming.iterdir()}
            for name in before.keys() - there.keys():
                assert (far.receipts / f"{name.removesuffix('.json')}.json").exists(), f"{name} went without"
            filler.go()
        take_from(inbox, folders, registrar)
        inbox.answer()
    inbox.close()
    assert list(far.incoming.iterdir()) == []
    assert {path.name for path in far.receipts.iterdir()} == {f"{shard.file_name}.json" for shard in shards}
    with Catalogue(folders.database) as catalogue:
        assert [entry.shard for entry in catalogue.shards()] == shards
        assert all(found.state == "intact" for found in verify_shards(catalogue))
