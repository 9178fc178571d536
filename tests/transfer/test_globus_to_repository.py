"""From the recorder to the catalogue by Globus: exactly once, and nothing freed on anybody's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import Event, Frame, TransferFailedError
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once

from .globus_site import Site

SHARDS = 3


@pytest.fixture
def journal(globus_far_end: Site, make_frame: Callable[..., Frame]) -> Iterator[Journal]:
    """Three sealed shards of a finished session, in the folder that Globus is shown."""
    recording = globus_far_end.near / "base" / "recording"
    journal = Journal(recording, frames_per_shard=4, min_free_bytes=0)
    for sequence in range(4 * SHARDS):
        journal.append(make_frame(sequence))
    journal.stop_session("twin", "s1", frames=4 * SHARDS)
    yield journal
    journal.close()


@pytest.fixture
def repository_folders(globus_far_end: Site) -> RepositoryFolders:
    folders = RepositoryFolders(globus_far_end.root)
    folders.make()
    return folders


def local_shards(journal: Journal) -> list[Path]:
    return sorted(journal.folders.shards.glob("*.h5"))


def ingest(folders: RepositoryFolders) -> None:
    registrar = Registrar(folders.database, registered_by="repository-1")
    try:
        ingest_once(folders.root, registrar)
    finally:
        registrar.close()


def test_shards_are_registered_once_and_freed_after_their_receipts(
    globus_far_end: Site, journal: Journal, repository_folders: RepositoryFolders
) -> None:
    events: list[Event] = []
    shipper = Shipper(journal, globus_far_end.mover(), publish=events.append)
    shipper.ship_once()
    assert len(local_shards(journal)) == SHARDS
    ingest(repository_folders)
    shipper.ship_once()
    assert local_shards(journal) == []
    for _ in range(2):
        ingest(repository_folders)
        shipper.ship_once()
    with Catalogue(repository_folders.database) as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames, dataset.shards) == ("complete", 4 * SHARDS, SHARDS)
    assert events == []
    assert globus_far_end.staged() == []
    # Not a task for each shard and each receipt: one for the shards, one for their documents, one for the
    # receipts, and what the data set needs.
    assert globus_far_end.transfers() <= 6


@pytest.mark.parametrize("fault", ["lie_succeeded", "fail_tasks", "shorten"])
def test_a_service_that_fails_or_lies_frees_nothing(
    globus_far_end: Site, journal: Journal, repository_folders: RepositoryFolders, fault: str
) -> None:
    shipper = Shipper(journal, globus_far_end.mover(), publish=lambda _: None)
    setattr(globus_far_end.emulator.faults, fault, SHARDS)
    with pytest.raises(TransferFailedError):
        shipper.ship_once()
    ingest(repository_folders)
    assert len(local_shards(journal)) == SHARDS
    with Catalogue(repository_folders.database) as catalogue:
        assert len(catalogue.shards(session="s1")) == 0
    globus_far_end.emulator.mend()
    for _ in range(3):
        shipper.ship_once()
        ingest(repository_folders)
    shipper.ship_once()
    assert local_shards(journal) == []
    with Catalogue(repository_folders.database) as catalogue:
        assert len(catalogue.shards(session="s1")) == SHARDS
