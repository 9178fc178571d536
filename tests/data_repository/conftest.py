"""What an agent ships, without an agent: sealed shards of small frames, and a repository to send them to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from eucentric_core import AnyEvent, DatasetManifest, Frame, Shard, sha256_file, utc_now
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import PosixMover, write_shard

from ..frames import frame_around


def image_frame(sequence: int, *, session: str, value: float = 0.0, instrument: str = "twin") -> Frame:
    image = np.full((8, 8), sequence + value, dtype=np.float32)
    return frame_around(image, sequence, session=session, instrument=instrument)


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
    ) -> Shard:
        frames = [image_frame(n, session=session, value=value, instrument=instrument) for n in sequences]
        path = self.work / "shard.h5"
        write_shard(path, frames, software="eucentric 0.test")
        shard = Shard(
            instrument=instrument,
            session=session,
            index=index,
            first_sequence=min(sequences),
            last_sequence=max(sequences),
            frames=len(sequences),
            streams=("haadf",),
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            sealed_utc=utc_now(),
            simulated=True,
            material="mos2",
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
    """The folders, one look at a time."""

    folders: RepositoryFolders

    def ingest(self) -> list[AnyEvent]:
        registrar = Registrar(self.folders.database, registered_by="repository-1")
        try:
            return ingest_once(self.folders.root, registrar)
        finally:
            registrar.close()

    def catalogue(self) -> Catalogue:
        return Catalogue(self.folders.database)

    def quarantined(self) -> list[str]:
        return sorted(
            p.name for p in self.folders.quarantine.iterdir() if not p.name.endswith(".reason.json")
        )


@pytest.fixture
def repository_folders(tmp_path: Path) -> RepositoryFolders:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    return folders


@pytest.fixture
def repository(repository_folders: RepositoryFolders) -> Repository:
    return Repository(repository_folders)


@pytest.fixture
def sender(repository_folders: RepositoryFolders, tmp_path: Path) -> Sender:
    work = tmp_path / "agent"
    work.mkdir()
    return Sender(repository_folders, work)
