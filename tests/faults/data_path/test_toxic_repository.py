"""Every fault of a network between the repository and what it rests on: its inbox, and its database.

The inbox is a bucket of a real store (Swift), the database a real PostgreSQL. Over a bad link nothing is
taken away without its receipt and nothing is registered twice; once it is well everything is there.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import Shipper
from eucentric_core import EucentricError, S3Settings
from eucentric_data_repository import Catalogue, Database, Inbox, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import Mover, MoverOptions, PosixMover, open_mover

from ...links import Bandwidth, Direction, Latency, Link, Slicer, SlowClose, Toxic
from ...servers.postgres import Postgres, running_postgres
from ...servers.s3_store import store_client, write_credentials
from ...servers.swift import SwiftServer
from .chain import wait_until
from .outbox import SHARDS, TOXICS, sealed

LOOKS = 2
DIRECTIONS: tuple[Direction, ...] = ("to_server", "to_client")


def all_side_by_side(run: Callable[[int, Toxic | None], None]) -> None:
    """Each toxic at the same time, because most of them wait."""
    with ThreadPoolExecutor(len(TOXICS)) as several:
        for done in [several.submit(run, number, toxic) for number, toxic in enumerate(TOXICS)]:
            done.result()


def suffer(link: Link, toxic: Toxic | None, direction: Direction, look: Callable[[], object]) -> None:
    """Some looks over a bad link: each goes well or ends in a typed error."""
    if toxic is None:
        link.cut()
    else:
        link.poison(toxic, direction)
    failures = 0
    for _ in range(LOOKS):
        try:
            look()
        except EucentricError:
            failures += 1
    # What only slows down goes well, unless the machine is so busy that a time-out strikes.
    if not isinstance(toxic, Latency | Bandwidth | SlowClose | Slicer):
        assert failures > 0, f"{toxic} was not noticed"
    link.mend()


@dataclass
class Bucket:
    """A bucket into which an agent has shipped a whole session."""

    client: Any
    name: str

    def names(self, folder: str) -> set[str]:
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=f"lab/{folder}/")
        return {entry["Key"].rpartition("/")[2] for entry in listed.get("Contents", ())}

    def require_answered(self, sent: set[str]) -> None:
        """What is no longer in `incoming` has its receipt."""
        answered = self.names("receipts")
        for name in sent - self.names("incoming"):
            assert name in answered or f"{name}.json" in answered, f"{name} was taken without a receipt"


def mover_to(bucket: str, endpoint: str, folder: Path) -> Mover:
    folder.mkdir(parents=True, exist_ok=True)
    settings = S3Settings(
        endpoint=endpoint,
        credentials=write_credentials(folder / "key"),
        attempts=1,
        connect_timeout_s=2,
        read_timeout_s=2,
    )
    return open_mover(f"s3://{bucket}/lab", options=MoverOptions(s3=settings, state=folder / "state"))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_toxic_between_repository_and_inbox_is_survived(
    swift: SwiftServer, tmp_path: Path, direction: Direction
) -> None:
    def run(number: int, toxic: Toxic | None) -> None:
        folder = tmp_path / str(number)
        name = f"inbox-{uuid.uuid4().hex[:12]}"
        with closing(store_client(swift)) as client, Link(swift.port) as link:
            client.create_bucket(Bucket=name)
            bucket = Bucket(client, name)
            near = mover_to(name, swift.url, folder / "near")
            journal = sealed(folder / "recording")
            shipper = Shipper(journal, near, publish=lambda _event: None)
            shipper.ship_once()
            sent = bucket.names("incoming")
            folders = RepositoryFolders(folder / "repository")
            folders.make()
            far = mover_to(name, f"http://127.0.0.1:{link.port}", folder / "far")
            inbox = Inbox(far, folders)
            with Registrar(folders.database, registered_by="repository-1") as registrar:

                def look() -> None:
                    inbox.fetch()
                    ingest_once(folders.root, registrar)
                    inbox.answer()

                suffer(link, toxic, direction, look)
                bucket.require_answered(sent)
                wait_until(lambda: well(look) and not bucket.names("incoming"), "the inbox is emptied")
            bucket.require_answered(sent)
            shipper.ship_once()
            assert shipper.status().confirmed == SHARDS
            require_once(Database.at(folders.database))
            inbox.close()
            near.close()
            journal.close()

    all_side_by_side(run)


def well(look: Callable[[], object]) -> bool:
    """Whether a look over a link that was mended goes well; a connection of before may still be broken."""
    try:
        look()
    except EucentricError:
        return False
    return True


def require_once(database: Database) -> None:
    """Every shard, the whole data set, and one event of each."""
    with Catalogue(database) as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.shards, dataset.frames) == ("complete", SHARDS, 2 * SHARDS)
        assert [frame.header.sequence for frame in catalogue.frames("s1", "haadf")] == list(range(2 * SHARDS))
        kinds = [event.kind for _, event in catalogue.events()]
    assert sorted(kinds) == ["dataset.registered", *["shard.registered"] * SHARDS]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_toxic_between_repository_and_database_is_survived(
    postgres: Postgres, tmp_path: Path, direction: Direction
) -> None:
    def run(number: int, toxic: Toxic | None) -> None:
        folders = RepositoryFolders(tmp_path / str(number))
        folders.make()
        password = tmp_path / f"{number}.password"
        password.touch(mode=0o600)
        password.write_text(postgres.password)
        address = addresses[number]
        with Link(postgres.port) as link:
            through = Database(
                address.replace(f":{postgres.port}/", f":{link.port}/"), folders.root, password
            )
            with Registrar(through, registered_by="repository-1") as registrar:
                journal = sealed(tmp_path / f"{number}.recording")
                shipper = Shipper(journal, PosixMover(folders.root), publish=lambda _event: None)
                shipper.ship_once()

                def look() -> None:
                    ingest_once(folders.root, registrar)
                    registrar.unpublished()

                suffer(link, toxic, direction, look)
                wait_until(lambda: well(look) and not any(folders.incoming.iterdir()), "all is registered")
            shipper.ship_once()
            assert shipper.status().confirmed == SHARDS
            journal.close()
        require_once(Database(address, folders.root, password))
        assert [json.loads(path.read_text()) for path in folders.quarantine.glob("*.reason.json")] == []

    addresses = [postgres.create_database() for _ in TOXICS]
    all_side_by_side(run)
