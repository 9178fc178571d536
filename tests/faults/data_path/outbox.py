"""Sealed shards of a finished session, a shipper, and a repository's look at what has arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import EucentricError, Event, sha256_file
from eucentric_data_repository import Catalogue, DatasetEntry, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import Mover, PosixMover

from ...frames import build_frame
from ...links import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    Link,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from .chain import wait_until

__all__ = ["SHARDS", "TOXICS", "brought_home", "local", "sealed", "ship_often", "ship_through", "take_in"]

SHARDS = 3
TOXICS: tuple[Toxic | None, ...] = (
    Latency(0.1),
    Bandwidth(200e3),
    SlowClose(0.3),
    Slicer(2048, 0.002),
    Timeout(0.3),
    LimitData(250),
    ResetPeer(0.0),
    None,
)
"""Each of the seven; None cuts the link. No request and no answer of a store is as short as the limit."""


def sealed(folder: Path, *, shards: int = SHARDS) -> Journal:
    """A journal that holds so many sealed shards of a session that is over."""
    journal = Journal(folder, frames_per_shard=2, min_free_bytes=0)
    for sequence in range(2 * shards):
        journal.append(build_frame(sequence, shape=(64, 64)))
    journal.sync()
    journal.stop_session("twin", "s1", frames=2 * shards)
    wait_until(lambda: journal_is_sealed(journal, shards), "all is sealed")
    return journal


def journal_is_sealed(journal: Journal, shards: int) -> bool:
    journal.tidy()
    return len(local(journal)) == shards and journal.open_sessions == 0


def local(journal: Journal) -> list[Path]:
    return sorted(journal.folders.shards.glob("*.h5"))


def ship_often(shipper: Shipper, times: int = 3) -> list[EucentricError]:
    """Passes over the outbox, and what they complained of."""
    errors = []
    for _ in range(times):
        try:
            shipper.ship_once()
        except EucentricError as error:
            errors.append(error)
    return errors


def take_in(folders: RepositoryFolders) -> None:
    registrar = Registrar(folders.database, registered_by="repository-1")
    try:
        ingest_once(folders.root, registrar)
    finally:
        registrar.close()


def brought_home(
    recording: Path, repository: Path, *, frames: int, shape: tuple[int, ...], frames_per_shard: int
) -> tuple[set[int], DatasetEntry]:
    """Open what is left of a recording, end its session, ship and register it.

    Returns:
        The sequence numbers of the frames that the repository has, all with their content, and the data set.
    """
    folders = RepositoryFolders(repository)
    folders.make()
    journal = Journal(recording, frames_per_shard=frames_per_shard, min_free_bytes=0)
    try:
        journal.stop_session("twin", "s1", frames=frames)

        def is_over() -> bool:
            journal.tidy()
            return journal.open_sessions == 0

        wait_until(is_over, "the session ends")
        shipper = Shipper(journal, PosixMover(folders.root), publish=lambda _event: None, poll_s=0.01)
        for _ in range(3):
            shipper.ship_once()
            take_in(folders)
    finally:
        journal.close()
    found = set()
    with Catalogue(folders.database) as catalogue:
        for frame in catalogue.frames("s1", "haadf"):
            sequence = frame.header.sequence
            np.testing.assert_array_equal(frame.array, build_frame(sequence, shape=shape).array)
            found.add(sequence)
        (dataset,) = catalogue.datasets()
    return found, dataset


def ship_through(
    link: Link,
    toxic: Toxic | None,
    direction: Direction,
    *,
    folder: Path,
    mover: Mover,
    arrived: Callable[[str], bytes],
) -> None:
    """Ship three shards over a poisoned link; they arrive when it is mended, and stay here without a receipt.

    Args:
        folder: of a new recording.
        mover: its way leads over the link; is closed.
        arrived: the content of a shard at the far end, asked without the link.
    """
    journal = sealed(folder)
    events: list[Event] = []
    shipper = Shipper(journal, mover, publish=events.append, poll_s=0.05, max_wait_s=0.5)
    hashes = {path.name: sha256_file(path) for path in local(journal)}
    if toxic is None:
        link.cut()
    else:
        link.poison(toxic, direction)
    shipper.start()
    try:
        if toxic is None or isinstance(toxic, Timeout | LimitData | ResetPeer):
            wait_until(lambda: bool(events), "somebody is told")
            assert shipper.status().state == "retrying"
            assert shipper.status().awaiting_receipt == 0
        assert [path.name for path in local(journal)] == sorted(hashes)
        link.mend()
        wait_until(lambda: shipper.status().awaiting_receipt == SHARDS, "all arrives when the link is well")
        for name, sha256 in hashes.items():
            assert hashlib.sha256(arrived(name)).hexdigest() == sha256
        assert [path.name for path in local(journal)] == sorted(hashes), "deleted without a receipt"
    finally:
        shipper.stop()
        mover.close()
        journal.close()
