"""What an agent ships, without an agent: sealed shards of small frames, and a repository to send them to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_core import AnyEvent, DatasetManifest, Frame, Shard, sha256_file, utc_now
from eucentric_data_repository import Catalogue, Database, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import PosixMover, write_shard

from ..frames import frame_around
from ..servers.postgres import Postgres, running_postgres


def image_frame(
    sequence: int, *, session: str, value: float = 0.0, instrument: str = "twin", **header: Any
) -> Frame:
    image = np.full((8, 8), sequence + value, dtype=np.float32)
    return frame_around(image, sequence, session=session, instrument=instrument, **header)


@dataclass
class Sender:
    """Seals shards and delivers them as a shipper does: the file, then its document."""

    folders: RepositoryFolders
    work: Path
    sealed: list[Shard] = field(default_factory=list)

    def seal(
        self,
        sequences: Sequence[int],
        *,
        session: str = "s1",
        index: int = 0,
        value: float = 0.0,
        instrument: str = "twin",
        **header: Any,
    ) -> Shard:
        frames = [
            image_frame(n, session=session, value=value, instrument=instrument, **header) for n in sequences
        ]
        return self.seal_frames(frames, index=index)

    def seal_frames(self, frames: Sequence[Frame], *, index: int = 0) -> Shard:
        headers = [frame.header for frame in frames]
        sequences = sorted({header.sequence for header in headers})
        path = self.work / "shard.h5"
        write_shard(path, frames, software="eucentric 0.test")
        shard = Shard(
            instrument=headers[0].instrument,
            session=headers[0].session,
            index=index,
            first_sequence=sequences[0],
            last_sequence=sequences[-1],
            frames=len(sequences),
            streams=tuple(sorted({header.stream for header in headers})),
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            sealed_utc=utc_now(),
            simulated=headers[0].simulated,
            sample=headers[0].sample,
            material=headers[0].material,
        )
        path.replace(self.work / shard.file_name)
        self.sealed.append(shard)
        return shard

    def deliver(self, shard: Shard) -> None:
        mover = PosixMover(self.folders.root)
        mover.put(self.work / shard.file_name, f"incoming/{shard.file_name}")
        self.deliver_document(f"{shard.file_name}.json", shard.model_dump_json())

    def deliver_document(self, name: str, text: str) -> None:
        (self.folders.incoming / name).write_text(text)

    def manifest(self, *shards: Shard, missing: tuple[int, ...] = (), session: str = "s1") -> DatasetManifest:
        return DatasetManifest(
            instrument="twin",
            session=session,
            shards=shards,
            missing_sequences=missing,
            closed_utc=utc_now(),
        )

    def deliver_manifest(self, manifest: DatasetManifest) -> None:
        self.deliver_document(f"{manifest.dataset_id}.dataset.json", manifest.model_dump_json())


@dataclass
class Repository:
    """The folders and their catalogue, one look at a time."""

    folders: RepositoryFolders
    database: Database

    def registrar(self) -> Registrar:
        return Registrar(self.database, registered_by="repository-1")

    def ingest(self) -> list[AnyEvent]:
        with self.registrar() as registrar:
            return ingest_once(self.folders.root, registrar)

    def catalogue(self) -> Catalogue:
        return Catalogue(self.database)

    def quarantined(self) -> list[str]:
        return sorted(
            p.name for p in self.folders.quarantine.iterdir() if not p.name.endswith(".reason.json")
        )


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def repository_folders(tmp_path: Path) -> RepositoryFolders:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    return folders


@pytest.fixture(scope="session")
def made_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue whose tables are made, to begin from: the migrations have their own tests."""
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.sqlite"
    Registrar(path, registered_by="repository-1").close()
    return path


@pytest.fixture(scope="package")
def made_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same in PostgreSQL: the name of a database to copy."""
    root = tmp_path_factory.mktemp("catalogue")
    database = password_beside(postgres, postgres.create_database(), root)
    Registrar(database, registered_by="repository-1").close()
    return str(database.place).rpartition("/")[2]


def password_beside(server: Postgres, address: str, root: Path) -> Database:
    password = root.parent / "database-password"
    password.write_text(server.password)
    password.chmod(0o600)
    return Database(address, root, password)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, repository_folders: RepositoryFolders) -> Database:
    """A catalogue with nothing in it, in each kind of database."""
    if request.param == "sqlite":
        made: Path = request.getfixturevalue("made_sqlite")
        shutil.copyfile(made, repository_folders.database)
        return Database.at(repository_folders.database)
    server: Postgres = request.getfixturevalue("postgres")
    address = server.create_database(request.getfixturevalue("made_postgres"))
    return password_beside(server, address, repository_folders.root)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, repository_folders: RepositoryFolders) -> Database:
    """A catalogue that is not made yet, in each kind of database."""
    if request.param == "sqlite":
        return Database.at(repository_folders.database)
    server: Postgres = request.getfixturevalue("postgres")
    return password_beside(server, server.create_database(), repository_folders.root)


@pytest.fixture
def repository(repository_folders: RepositoryFolders, database: Database) -> Repository:
    return Repository(repository_folders, database)


@pytest.fixture
def sender(repository_folders: RepositoryFolders, tmp_path: Path) -> Sender:
    work = tmp_path / "agent"
    work.mkdir()
    return Sender(repository_folders, work)
