"""A far end that is slow, broken, gone or lying: shipping goes on by itself, nothing is deleted too early."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import Event, Receipt, S3Settings, Shard, sha256_file
from eucentric_data_repository import RepositoryFolders
from eucentric_transfer import Mover, MoverOptions, PosixMover, RemoteFile, open_mover

from ...links import (
    Direction,
    Link,
    Toxic,
)
from ...servers.s3_store import store_client, write_credentials
from ...servers.swift import SwiftServer
from .outbox import TOXICS, local, sealed, ship_often, ship_through, take_in

DAMAGES, NIGHTLY_DAMAGES = 20, 1000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = sealed(tmp_path / "recording")
    yield journal
    journal.close()


def ship_to_bucket(
    link: Link, toxic: Toxic | None, direction: Direction, server: SwiftServer, folder: Path
) -> None:
    """Ship over a poisoned link to a bucket of its own."""
    client, bucket = store_client(server), f"toxic-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    settings = S3Settings(
        endpoint=f"http://127.0.0.1:{link.port}",
        credentials=write_credentials(folder / "credentials"),
        attempts=1,
        connect_timeout_s=2,
        read_timeout_s=2,
    )

    def arrived(name: str) -> bytes:
        content: bytes = client.get_object(Bucket=bucket, Key=f"lab/incoming/{name}")["Body"].read()
        return content

    try:
        ship_through(
            link,
            toxic,
            direction,
            folder=folder / "recording",
            mover=open_mover(f"s3://{bucket}/lab", options=MoverOptions(s3=settings, state=folder / "state")),
            arrived=arrived,
        )
    finally:
        client.close()


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_every_toxic_between_shipper_and_store_is_survived(
    swift: SwiftServer,
    tmp_path: Path,
    direction: Direction,
) -> None:
    def run(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        with Link(swift.port) as link:
            ship_to_bucket(link, TOXICS[number], direction, swift, folder)

    with ThreadPoolExecutor(len(TOXICS)) as several:
        for done in [several.submit(run, number) for number in range(len(TOXICS))]:
            done.result()


class Lying:
    """A mover that says what it likes about what it did."""

    def __init__(self, root: Path, lie: str) -> None:
        self._true, self._lie = PosixMover(root), lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def put(self, source: Path, name: str, *, sha256: str | None = None) -> RemoteFile:
        told = RemoteFile(name=name, size_bytes=source.stat().st_size, sha256=sha256 or sha256_file(source))
        if self._lie == "half":
            half = source.read_bytes()[: told.size_bytes // 2]
            self._true.put_bytes(half, name)
        return told

    def put_bytes(self, content: bytes, name: str) -> RemoteFile:
        if self._lie == "nothing":
            return RemoteFile(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        return self._true.put_bytes(content, name)

    def put_many(self, files: Any) -> Any:
        return tuple(
            self.put(file.source, file.name, sha256=file.sha256)
            if isinstance(file.source, Path)
            else self.put_bytes(file.source, file.name)
            for file in files
        )


@pytest.mark.parametrize("lie", ["nothing", "document alone", "half"])
def test_a_mover_that_only_says_that_all_has_arrived_frees_nothing(
    journal: Journal, tmp_path: Path, lie: str
) -> None:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    mover: Mover = Lying(folders.root, lie)
    events: list[Event] = []
    shipper = Shipper(journal, mover, publish=events.append, poll_s=0.01)
    before = {path: path.read_bytes() for path in local(journal)}
    errors = []
    for _ in range(4):
        errors += ship_often(shipper, 2)
        take_in(folders)
    assert {path: path.read_bytes() for path in local(journal)} == before
    assert errors, "nobody complained"
    status = shipper.status()
    assert status.confirmed == 0
    # The manifest is a document of its own, and two of the three liars do deliver it.
    assert {path.name for path in folders.receipts.iterdir()} <= {"twin.s1.dataset.json"}


def vanish(root: Path) -> Callable[[], None]:
    away = root.with_name("away")
    root.rename(away)

    def undo() -> None:
        away.rename(root)

    return undo


def become_a_file(root: Path) -> Callable[[], None]:
    mend = vanish(root)
    root.write_text("not a folder")

    def undo() -> None:
        root.unlink()
        mend()

    return undo


def lose_the_inner_folder(root: Path) -> Callable[[], None]:
    inner = root / "incoming"
    inner.rename(root / "moved")
    inner.write_text("in the way")

    def undo() -> None:
        inner.unlink()
        (root / "moved").rename(inner)

    return undo


@pytest.mark.parametrize("damage", [vanish, become_a_file, lose_the_inner_folder])
def test_a_folder_that_goes_away_and_comes_back_costs_nothing(
    journal: Journal, tmp_path: Path, damage: Callable[[Path], Callable[[], None]]
) -> None:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    shipper = Shipper(journal, PosixMover(folders.root), publish=lambda _event: None, poll_s=0.01)
    names = [path.name for path in local(journal)]
    mend = damage(folders.root)
    assert ship_often(shipper), "nobody complained"
    assert [path.name for path in local(journal)] == names
    mend()
    for _ in range(3):
        ship_often(shipper)
        take_in(folders)
    assert ship_often(shipper) == []
    assert local(journal) == []


def damaged(content: bytes, chance: np.random.Generator) -> bytes:
    """A document after a bad disk: bits flipped, cut short, or blocks of zeros."""
    kind = chance.integers(0, 3)
    changed = bytearray(content)
    if kind == 0:
        for place in chance.integers(0, len(content), int(chance.integers(1, 4))):
            changed[place] ^= 1 << int(chance.integers(0, 8))
    elif kind == 1:
        del changed[int(chance.integers(0, len(content))) :]
    else:
        start = int(chance.integers(0, len(content)))
        changed[start : start + 64] = bytes(len(changed[start : start + 64]))
    return bytes(changed)


def test_a_damaged_receipt_never_leads_to_a_deletion_it_does_not_vouch_for(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    journal = sealed(tmp_path / "recording")
    shipper = Shipper(journal, PosixMover(folders.root), publish=lambda _event: None, poll_s=0.01)
    ship_often(shipper, 1)
    take_in(folders)
    shards = {path.name: path for path in local(journal)}
    receipts = {name: (folders.receipts / f"{name}.json").read_bytes() for name in shards}
    documents = {
        name: Shard.model_validate_json(json.dumps(entry))
        for name, entry in ((e.name, json.loads(e.document)) for e in journal.ledger.outbox("delivered"))
        if name in shards
    }
    chance = np.random.default_rng(404)
    nightly = request.config.getoption("--nightly")
    detected = 0
    for _ in range(NIGHTLY_DAMAGES if nightly else DAMAGES):
        if shipper.retry_stuck():
            # What was refused too often waits for a person, who has it sent again.
            ship_often(shipper, 1)
            take_in(folders)
        given = {name: damaged(content, chance) for name, content in receipts.items()}
        for name, content in given.items():
            (folders.receipts / f"{name}.json").write_bytes(content)
        if any(vouches(content, documents[name]) for name, content in given.items()):
            # What was hit says nothing about the content: when it came, say.
            continue
        detected += bool(ship_often(shipper, 1))
        assert sorted(path.name for path in local(journal)) == sorted(shards)
    assert detected > 0
    for name, content in receipts.items():
        (folders.receipts / f"{name}.json").write_bytes(content)
    shipper.retry_stuck()
    ship_often(shipper, 2)
    take_in(folders)
    assert ship_often(shipper, 2) == []
    assert local(journal) == []
    journal.close()


def vouches(content: bytes, shard: Shard) -> bool:
    try:
        receipt = Receipt.model_validate_json(content)
    except (ValidationError, ValueError):
        return False
    return (receipt.sha256, receipt.size_bytes) == (shard.sha256, shard.size_bytes)
