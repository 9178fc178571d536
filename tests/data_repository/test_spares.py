"""A second copy of a registered shard is removed; what only looks like one, or is the last one, is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eucentric_core import Shard, _steps
from eucentric_data_repository import Database, Inbox, RepositoryFolders, ingest_once
from eucentric_data_repository._spares import drop_spares
from eucentric_transfer import PosixMover


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """Spare copies are a matter of files."""
    return Database.at(repository_folders.database)


@pytest.fixture
def registered(repository: Any, sender: Any) -> Shard:
    """A shard that has its receipt."""
    shard: Shard = sender.seal(range(4))
    sender.deliver(shard)
    repository.ingest()
    return shard


def arrive(repository: Any, sender: Any, shard: Shard) -> Path:
    """Let a second copy of a shard arrive, without a document."""
    arrived: Path = repository.folders.incoming / shard.file_name
    arrived.write_bytes((sender.work / shard.file_name).read_bytes())
    return arrived


def test_one_that_comes_while_the_first_is_registered_does_not_stay(
    repository: Any, sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)

    def deliver_again(step: str) -> None:
        if step == "register.noted":
            sender.deliver(shard)

    monkeypatch.setattr(_steps, "on_step", deliver_again)
    assert len(repository.ingest()) == 1
    assert list(repository.folders.incoming.iterdir()) == []


def test_one_that_lies_there_is_removed(repository: Any, sender: Any, registered: Shard) -> None:
    arrived = arrive(repository, sender, registered)
    assert drop_spares(repository.folders) == 1
    assert not arrived.exists()
    assert repository.folders.shard("twin.s1", registered.file_name).is_file()
    assert drop_spares(repository.folders) == 0


def test_one_with_a_document_is_left_to_its_registration(
    repository: Any, sender: Any, registered: Shard
) -> None:
    sender.deliver(registered)
    assert drop_spares(repository.folders) == 0
    assert (repository.folders.incoming / registered.file_name).is_file()
    assert repository.ingest() == []
    assert list(repository.folders.incoming.iterdir()) == []


def test_another_content_is_kept(repository: Any, sender: Any, registered: Shard) -> None:
    arrived = arrive(repository, sender, registered)
    arrived.write_bytes(b"?" + arrived.read_bytes()[1:])
    assert drop_spares(repository.folders) == 0
    assert arrived.is_file()


@pytest.mark.parametrize("lost", [True, False])
def test_the_last_good_copy_is_kept(repository: Any, sender: Any, registered: Shard, lost: bool) -> None:
    final = repository.folders.shard("twin.s1", registered.file_name)
    if lost:
        final.unlink()
    else:
        final.write_bytes(final.read_bytes()[:-1] + b"?")
    arrived = arrive(repository, sender, registered)
    assert drop_spares(repository.folders) == 0
    assert arrived.is_file()


def test_what_has_no_receipt_is_on_its_way(repository: Any, sender: Any) -> None:
    arrived = arrive(repository, sender, sender.seal(range(4)))
    assert drop_spares(repository.folders) == 0
    assert arrived.is_file()


def test_one_that_comes_while_an_inbox_is_emptied_does_not_stay(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    far = RepositoryFolders(tmp_path / "far")
    far.make()
    sender.folders = far
    shard = sender.seal(range(4))
    sender.deliver(shard)

    class SentAgain(PosixMover):
        def remove(self, name: str, *, sha256: str) -> None:
            if name.endswith(".json"):
                sender.deliver(shard)
            super().remove(name, sha256=sha256)

    inbox = Inbox(SentAgain(far.root), repository.folders)
    inbox.fetch()
    with repository.registrar() as registrar:
        ingest_once(repository.folders.root, registrar)
    assert inbox.answer() == 1
    assert list(far.incoming.iterdir()) == []
