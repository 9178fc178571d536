"""A home to import into, the repository it ships to, and the importer as a test calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.importing import (
    FileReport,
    ImportOptions,
    ImportReport,
    described,
    import_files,
    plan_signals,
)
from eucentric_agents.recording import Shipper, open_journal
from eucentric_agents.vendor_files import ApartReader
from eucentric_core import AgentSettings, EucentricError, Frame, Settings
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import PosixMover

pytest.importorskip("rsciio", reason="RosettaSciIO (eucentric[vendor-formats]) is not installed")


Look = Callable[..., FileReport]


@dataclass
class Home:
    """A machine's home and its repository."""

    settings: Settings
    folders: RepositoryFolders

    def take(self, *paths: Path, close: bool = False, **options: Any) -> ImportReport:
        """Import into session `s1`."""
        return import_files(paths, ImportOptions(**{"session": "s1", **options}), self.settings, close=close)

    def settle(self) -> None:
        """Ship and register until nothing is left to do."""
        journal = open_journal(self.settings)
        shipper = Shipper(journal, PosixMover(self.folders.root), publish=lambda _event: None, poll_s=0.05)
        for _ in range(3):
            shipper.ship_once()
            with Registrar(self.folders.database, registered_by="repository-1") as registrar:
                ingest_once(self.folders.root, registrar)
        shipper.ship_once()
        journal.close()

    def catalogue(self) -> Catalogue:
        return Catalogue(self.folders.database)

    def frames(self, stream: str, session: str = "s1") -> list[Frame]:
        """What the repository has of a stream, once everything has arrived."""
        self.settle()
        with self.catalogue() as catalogue:
            return list(catalogue.frames(session, stream))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folders = RepositoryFolders(tmp_path / "repository")
    folders.make()
    settings = Settings(
        home=tmp_path / "home", agent=AgentSettings(name="scope", min_free_bytes=0, frames_per_shard=4)
    )
    return Home(settings, folders)


@pytest.fixture(scope="package")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApartReader]:
    """All tests share the process that reads: it takes longer to start than to read."""
    with ApartReader(tmp_path_factory.mktemp("reader")) as opened:
        yield opened


@pytest.fixture
def look(reader: ApartReader) -> Look:
    """Says what an import of one file would do."""

    def looked_at(path: Path, **options: Any) -> FileReport:
        wanted = ImportOptions(**{"session": "s1", **options})
        try:
            planned, left = plan_signals(path.name, reader.read(path), wanted)
        except EucentricError as error:
            return FileReport(file=path.name, verdict="refused", error=error.report())
        return described(path, "0" * 64, "importable", planned, left)

    return looked_at
