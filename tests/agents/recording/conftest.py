"""A small simulated recording, its repository, and a way to kill it between any two steps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import AnyEvent, Event
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once
from eucentric_transfer import PosixMover

FRAMES_PER_SHARD = 4


@dataclass
class Site:
    """An agent's recording folder and the repository it ships to."""

    root: Path

    def __post_init__(self) -> None:
        self.recording = self.root / "agent" / "recording"
        self.folders = RepositoryFolders(self.root / "repository")
        self.folders.make()
        self.events: list[Event] = []
        self.repository_events: list[AnyEvent] = []

    def open_journal(
        self, *, frames_per_shard: int = FRAMES_PER_SHARD, min_free_bytes: int = 0, **options: Any
    ) -> Journal:
        return Journal(
            self.recording, frames_per_shard=frames_per_shard, min_free_bytes=min_free_bytes, **options
        )

    def shipper(self, journal: Journal) -> Shipper:
        return Shipper(journal, PosixMover(self.folders.root), publish=self.events.append, poll_s=0.05)

    def ingest(self) -> None:
        registrar = Registrar(self.folders.database, registered_by="repository-1")
        try:
            self.repository_events += ingest_once(self.folders.root, registrar)
        finally:
            registrar.close()

    def settle(self, journal: Journal) -> None:
        """Ship and register until nothing is left to do."""
        shipper = self.shipper(journal)
        for _ in range(3):
            shipper.ship_once()
            self.ingest()
        shipper.ship_once()

    def catalogue(self) -> Catalogue:
        return Catalogue(self.folders.database)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@dataclass(frozen=True)
class Outcome:
    """How a recording process ended: its exit status, and the frames it had acknowledged."""

    status: int
    steps: int
    acknowledged: tuple[tuple[int, str], ...]


class RecordingProcesses:
    """Runs recordings in processes of their own and kills them where the test says.

    A server process with everything imported forks one process per recording, which keeps a trial short.
    """

    def __init__(self) -> None:
        script = Path(__file__).with_name("recording_process.py")
        self._server = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, site: Site, kill: dict[str, Any], **options: Any) -> Outcome:
        """Record until killed there; `options` are the journal's."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        acknowledged = site.root / "acknowledged"
        acknowledged.touch()
        order = {"root": str(site.root), "acknowledged": str(acknowledged), "kill": kill, "options": options}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        lines = [line.split() for line in acknowledged.read_text().splitlines()]
        return Outcome(answer["status"], answer["steps"], tuple((int(n), stream) for n, stream in lines))

    def close(self) -> None:
        self._server.communicate(timeout=10)


@pytest.fixture(scope="package")
def recording_processes() -> Iterator[RecordingProcesses]:
    processes = RecordingProcesses()
    yield processes
    processes.close()
