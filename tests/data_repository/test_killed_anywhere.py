"""`kill -9` at every step of registration and of the inbox: nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import Receipt
from eucentric_data_repository import Database, Inbox, RepositoryFolders, ingest_once
from eucentric_data_repository._steps import STEPS
from eucentric_transfer import PosixMover


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """A forked process must not share a connection to a server."""
    return Database.at(repository_folders.database)


def kill_at(step: str, occurrence: int, work: Callable[[], object]) -> bool:
    """Run in a process that dies at a step; whether it was reached."""
    child = os.fork()
    if child == 0:
        from eucentric_core import _steps

        met = 0

        def die(name: str) -> None:
            nonlocal met
            met += name == step
            if met == occurrence:
                os.kill(os.getpid(), signal.SIGKILL)

        _steps.on_step = die
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def check(repository: Any, shards: list[Any]) -> None:
    """Everything is there once, with its receipt and its events."""
    with repository.catalogue() as catalogue:
        assert [entry.shard for entry in catalogue.shards()] == shards
        assert [f.header.sequence for f in catalogue.frames("s1", "haadf")] == list(range(4))
        assert catalogue.datasets()[0].state == "complete"
        events = [event for _, event in catalogue.events()]
    assert [event.kind for event in events] == ["shard.registered", "shard.registered", "dataset.registered"]
    assert all(entry.receipted_utc is not None for entry in repository.catalogue().shards())
    assert list(repository.folders.incoming.iterdir()) == []
    assert repository.quarantined() == []


def check_receipts(folder: Path, shards: list[Any]) -> None:
    """Each shard has its own, and the manifest has one."""
    for shard in shards:
        receipt = Receipt.model_validate_json((folder / f"{shard.file_name}.json").read_bytes())
        assert receipt.sha256 == shard.sha256
    manifest = Receipt.model_validate_json((folder / "twin.s1.dataset.json").read_bytes())
    assert manifest.dataset_id == "twin.s1"


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith(("register.", "dataset."))])
def test_a_registration_that_is_killed_is_finished_at_the_next_look(
    repository: Any, sender: Any, step: str
) -> None:
    shards = [sender.seal(range(2)), sender.seal(range(2, 4), index=1)]
    for shard in shards:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*shards))
    assert kill_at(step, 1, repository.ingest)
    repository.ingest()
    check(repository, shards)
    check_receipts(repository.folders.receipts, shards)


@pytest.fixture
def far(tmp_path: Path) -> RepositoryFolders:
    """A far end that the agent ships to and the repository does not mount."""
    folders = RepositoryFolders(tmp_path / "far")
    folders.make()
    return folders


def take_in(repository: Any, far: RepositoryFolders) -> None:
    inbox = Inbox(PosixMover(far.root), repository.folders)
    inbox.fetch()
    with repository.registrar() as registrar:
        ingest_once(repository.folders.root, registrar)
    inbox.answer()


@pytest.mark.parametrize(
    "step", [step for step in STEPS if step.startswith(("inbox.", "register.", "dataset."))]
)
def test_what_comes_through_an_inbox_is_removed_there_only_with_its_receipt(
    repository: Any, sender: Any, far: RepositoryFolders, step: str
) -> None:
    shards = [sender.seal(range(2)), sender.seal(range(2, 4), index=1)]
    sender.folders = far
    for shard in shards:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*shards))
    assert kill_at(step, 1, lambda: take_in(repository, far))
    for shard in shards:
        receipt = far.receipts / f"{shard.file_name}.json"
        assert (far.incoming / shard.file_name).exists() or receipt.exists()
    take_in(repository, far)
    check(repository, shards)
    assert list(far.incoming.iterdir()) == []
    check_receipts(far.receipts, shards)
