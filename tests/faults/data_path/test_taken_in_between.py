"""A repository that takes a document away in the moment between its sending and the mover's look at it.

Agent and repository meet in a bucket of a real store (Swift). The repository works just before the store
answers the question whether the document has arrived, which is then gone: its receipt says so at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import S3Settings
from eucentric_data_repository import Catalogue, Inbox, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import Mover, MoverOptions, open_mover

from ...servers.http_relay import Relay
from ...servers.s3_store import store_client, write_credentials
from ...servers.swift import SwiftServer
from .outbox import SHARDS, local, sealed, ship_often


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = sealed(tmp_path / "recording")
    yield journal
    journal.close()


@pytest.fixture
def address(swift: SwiftServer) -> str:
    """A new bucket."""
    bucket = f"between-{uuid.uuid4().hex[:12]}"
    client = store_client(swift)
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/lab"


def mover_through(endpoint: str, address: str, folder: Path) -> Mover:
    folder.mkdir()
    settings = S3Settings(endpoint=endpoint, credentials=write_credentials(folder / "key"), attempts=1)
    return open_mover(address, options=MoverOptions(s3=settings, state=folder / "state"))


def test_what_it_takes_meanwhile_is_settled_by_its_receipt_and_not_sent_again(
    journal: Journal, swift: SwiftServer, s3_relay: Relay, address: str, tmp_path: Path
) -> None:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    inbox = Inbox(mover_through(swift.url, address, tmp_path / "far"), folders)
    registrar = Registrar(folders.database, registered_by="repository-1")
    looked_for: list[str] = []

    def take_in_first(method: str, path: str) -> Any:
        name = path.rpartition("/")[2]
        if method == "HEAD" and name.endswith(".json") and name not in looked_for:
            looked_for.append(name)
            inbox.fetch()
            ingest_once(folders.root, registrar)
            inbox.answer()

    s3_relay.answer = take_in_first
    # One at a time: the repository is one, and works in the middle of the mover's own work.
    mover = mover_through(s3_relay.url, address, tmp_path / "near")
    shipper = Shipper(journal, mover, publish=lambda _event: None, batch_files=1)
    try:
        assert ship_often(shipper, 1) == []
        assert len(looked_for) == SHARDS + 1
        assert shipper.status().confirmed == SHARDS
        assert [entry.name for entry in journal.ledger.outbox("done")] == ["twin.s1.dataset.json"]
        sent = [request.path for request in s3_relay.requests if request.method == "PUT"]
        assert len(sent) == len(set(sent)) == 2 * SHARDS + 1
        assert ship_often(shipper, 1) == []
        assert local(journal) == []
    finally:
        shipper.stop()
        mover.close()
        inbox.close()
        registrar.close()
    with Catalogue(folders.database) as catalogue:
        assert [dataset.state for dataset in catalogue.datasets()] == ["complete"]
