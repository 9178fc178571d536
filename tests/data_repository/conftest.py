"""What an agent ships, without an agent: sealed shards of small frames, and a repository to send them to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from eucentric_core import (
    AnyEvent,
    Axis,
    DatasetManifest,
    Frame,
    FrameHeader,
    Optics,
    Shard,
    StagePosition,
    sha256_file,
    utc_now,
)
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import PosixMover, write_shard


def build_frame(sequence: int, *, session: str, value: float = 0.0, instrument: str = "twin") -> Frame:
    header = FrameHeader(
        instrument=instrument,
        session=session,
        stream="haadf",
        sequence=sequence,
        acquired_utc=utc_now(),
        acquired_monotonic_s=float(sequence),
        shape=(8, 8),
        dtype="float32",
        simulated=True,
        axes=tuple(Axis(name=name, unit="m", scale=2e-11) for name in "yx"),
        optics=Optics(
            high_tension_v=60e3,
            beam_current_a=3e-11,
            convergence_angle_rad=0.03,
            defocus_m=0.0,
            field_of_view_m=1.6e-10,
            dwell_time_s=1e-6,
        ),
        stage=StagePosition(),
        dose_e_per_a2=100.0,
        material="mos2",
    )
    return Frame(header, np.full((8, 8), sequence + value, dtype=np.float32))


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
        frames = [build_frame(n, session=session, value=value, instrument=instrument) for n in sequences]
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


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    return build_frame
