"""The whole data path of one instrument: data process, repository service, and what arrives in the end."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import zmq

from eucentric_core import (
    DatasetRegistered,
    Event,
    Frame,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
    Settings,
    ShardRegistered,
    TransportError,
)
from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_data_repository import Catalogue, DatasetEntry

from ...frames import build_frame

__all__ = [
    "FRAMES_PER_SHARD",
    "REPOSITORY_FOLDER",
    "STREAMS",
    "Chain",
    "ForkServer",
    "Publish",
    "Service",
    "wait_until",
]

REPOSITORY_FOLDER = Path(__file__).resolve().parents[3]
FRAMES_PER_SHARD = 4
STREAMS = ("truth", "haadf")
Publish = Callable[[Frame | Event], bool]
"""Sends to the data process; whether that was taken."""
HANGING_S = 60.0
"""Far more than any step may take on a busy machine: what is not done then hangs."""

_LOOK_S = 0.05
_CATALOGUE_LOOK_S = 0.2
_PUBLISH_S = 0.2


def wait_until(condition: Callable[[], bool], what: str, *, limit_s: float = HANGING_S) -> None:
    """Fail when it does not come true. A time in which this very process stands still does not count."""
    for _ in range(round(limit_s / _LOOK_S)):
        if condition():
            return
        time.sleep(_LOOK_S)
    raise AssertionError(f"hangs: {what}")


class ForkServer:
    """Starts services in processes of their own, quickly, because everything is imported already."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.data_path.fork_server"],
            cwd=REPOSITORY_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def start(self, order: Mapping[str, Any]) -> None:
        """Start one service, see `fork_server`."""
        assert self._server.stdin is not None
        with self._lock:
            self._server.stdin.write(json.dumps(order) + "\n")
            self._server.stdin.flush()

    def close(self) -> None:
        """Wait for the end of all services, which must have been stopped."""
        self._server.communicate(timeout=HANGING_S)


@dataclass
class Service:
    """A service that runs, or has ended."""

    name: str
    result: Path
    log: Path

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.result.exists()

    @property
    def status(self) -> int:
        """Its exit status."""
        return int(json.loads(self.result.read_text())["status"])

    @property
    def was_killed(self) -> bool:
        """Whether it was killed where it was told to die."""
        return self.ended and self.status == -signal.SIGKILL

    def stop(self) -> None:
        """SIGTERM, and wait."""
        pid = self.result.with_suffix(".pid")
        wait_until(lambda: pid.exists() or self.ended, f"{self.name} starts")
        if not self.ended:
            os.kill(int(pid.read_text()), signal.SIGTERM)
        wait_until(lambda: self.ended, f"{self.name} stops; see {self.log}")

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if not self.ended:
            wait_until(lambda: self.result.with_suffix(".pid").exists() or self.ended, f"{self.name} starts")
            if not self.ended:
                os.kill(int(self.result.with_suffix(".pid").read_text()), signal.SIGKILL)
                wait_until(lambda: self.ended, f"{self.name} dies")


@dataclass
class Chain:
    """One instrument and its repository in a folder of their own, over POSIX or whatever `sections` say.

    `sections` are settings by section, on top of those that every chain has; `environment` is its services'.
    """

    root: Path
    forks: ForkServer
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    session: str = "s1"

    def __post_init__(self) -> None:
        self.home = self.root / "home"
        self.recording = self.home / "agent" / "recording"
        self.store = self.root / "repository"
        for folder in (self.home, self.store, self.root / "runs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.door_token = secrets.token_urlsafe(32)
        self.ingest_port = find_free_port()
        self.acknowledged_file = self.root / "acknowledged"
        self.acknowledged_file.touch()
        self._services: list[Service] = []
        agent = {
            "data_port": find_free_port(),
            "control_port": find_free_port(),
            "frames_per_shard": FRAMES_PER_SHARD,
            "min_free_bytes": 0,
            "ship_to": str(self.store),
        }
        repository = {
            "root": str(self.store),
            "data_port": find_free_port(),
            "control_port": find_free_port(),
        }
        values: dict[str, Any] = {"home": str(self.home)}
        own: dict[str, dict[str, Any]] = {"agent": agent, "repository": repository}
        for section in {*own, *self.sections}:
            values[section] = {**own.get(section, {}), **self.sections.get(section, {})}
        self.settings = Settings.model_validate(values)
        self.settings_file = self.root / "settings.json"
        self.settings_file.write_text(self.settings.model_dump_json())
        self.config_file = self.root / "repository.toml"
        self.config_file.write_text(_toml(values))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running."""
        for service in self._services:
            service.kill()

    def start_recorder(self, kill: Mapping[str, Any] | None = None) -> Service:
        """The data process: data server, recorder, journal, shipper. It is ready, or has ended.

        What is published before it is ready reaches no recorder, and the agent publishes nothing then.
        """
        ready = self.home / "run" / "agent-data.json"
        ready.unlink(missing_ok=True)
        argv = ["--settings", str(self.settings_file), "--ingest-port", str(self.ingest_port)]
        service = self._start("eucentric_agents.data.__main__", [*argv, "--parent-pid", "{parent}"], kill)
        wait_until(lambda: ready.exists() or service.ended, "the data process starts")
        return service

    def start_repository(self, kill: Mapping[str, Any] | None = None) -> Service:
        """The repository's service."""
        argv = ["serve", "--config", str(self.config_file)]
        return self._start("eucentric_data_repository.__main__", argv, kill)

    def _start(self, module: str, argv: Sequence[str], kill: Mapping[str, Any] | None) -> Service:
        result = self.root / "runs" / f"{len(self._services)}-{module.partition('.')[0]}.json"
        service = Service(module, result, result.with_suffix(".log"))
        self._services.append(service)
        token = {"EUCENTRIC_DATA_TOKEN": self.door_token} if "agents" in module else {}
        self.forks.start(
            {
                "module": module,
                "argv": list(argv),
                "environment": {**self.environment, **token},
                "kill": dict(kill or {}),
                "result": str(result),
                "log": str(service.log),
                "acknowledged": str(self.acknowledged_file if "agents" in module else os.devnull),
            }
        )
        return service

    @contextmanager
    def publishing(self) -> Iterator[Publish]:
        """Send to the data process. What it gives tells whether that was taken; nothing waits at the end."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        publisher = StreamPublisher(
            f"tcp://127.0.0.1:{self.ingest_port}", context=context, timeout_s=_PUBLISH_S
        )

        def publish(message: Frame | Event) -> bool:
            try:
                if isinstance(message, Frame):
                    publisher.publish(message.header, message.array)
                else:
                    publisher.publish_event(message)
            except TransportError:
                return False
            return True

        try:
            yield publish
        finally:
            publisher.close()
            context.destroy(linger=2000)

    def record(self, publish: Publish, sequences: Sequence[int], *, until: Callable[[], bool]) -> None:
        """Publish acquisitions of all streams in order; ends early once `until` is true."""
        for sequence in sequences:
            for stream in STREAMS:
                frame = build_frame(sequence, stream, session=self.session)
                while not publish(frame):
                    if until():
                        return

    def start_session(self, publish: Publish) -> bool:
        """Publish the beginning of the session."""
        event = SessionStarted(source="agent", instrument="twin", session=self.session, material="mos2")
        return publish(event)

    def stop_session(self, publish: Publish, frames: int) -> bool:
        """Publish the end of the session."""
        return publish(SessionStopped(source="agent", instrument="twin", session=self.session, frames=frames))

    def acknowledged(self) -> list[tuple[int, str]]:
        """The frames that the recorder acknowledged, as (sequence number, stream)."""
        lines = [line.split() for line in self.acknowledged_file.read_text().splitlines()]
        return [(int(sequence), stream) for sequence, stream in lines]

    def catalogue(self) -> Catalogue:
        """The repository's catalogue."""
        return Catalogue(self.store / "catalogue.sqlite")

    def datasets(self) -> list[DatasetEntry]:
        """All data sets of the repository, as far as they have arrived."""
        try:
            with self.catalogue() as catalogue:
                return list(catalogue.datasets())
        except ServiceUnavailableError:
            # Its service has not made it yet.
            return []

    def dataset(self) -> DatasetEntry | None:
        """The session's data set, as far as it has arrived."""
        return next((entry for entry in self.datasets() if entry.session == self.session), None)

    def is_finished(self) -> bool:
        """Whether everything has arrived, and what has its receipt has gone from the instrument."""
        # Opening the catalogue takes long: first what a look into the folders tells, and not too often.
        if self.shards_here() or any((self.store / "incoming").glob("*.json")):
            return False
        time.sleep(_CATALOGUE_LOOK_S)
        dataset = self.dataset()
        return dataset is not None and dataset.state == "complete"

    def shards_here(self) -> list[Path]:
        """Sealed shards that are still at the instrument."""
        return sorted((self.recording / "shards").glob("*.h5"))

    def leftovers(self) -> list[Path]:
        """Files of work that is half done, at the instrument or in the repository."""
        places = [self.recording / name for name in ("spool", "open", "shards", "quarantine")]
        places += [self.store / name for name in ("incoming", "quarantine")]
        return sorted(path for place in places for path in place.rglob("*") if path.is_file())

    def registered(self) -> list[tuple[int, str]]:
        """Every frame in the catalogue, stream by stream in the order it gives them; contents are checked."""
        found = []
        with self.catalogue() as catalogue:
            for stream in STREAMS:
                for frame in catalogue.frames(self.session, stream):
                    expected = build_frame(frame.header.sequence, stream, session=self.session)
                    np.testing.assert_array_equal(frame.array, expected.array)
                    found.append((frame.header.sequence, stream))
        return found

    def require_exactly_once(self, acknowledged: Sequence[tuple[int, str]]) -> None:
        """Nothing acknowledged is lost, nothing is doubled, the order is kept, every event came once."""
        registered = self.registered()
        assert [key for key, times in Counter(registered).items() if times > 1] == []
        lost = sorted(set(acknowledged) - set(registered))
        assert lost == [], f"acknowledged and lost: {lost}"
        for stream in STREAMS:
            numbers = [sequence for sequence, of in registered if of == stream]
            assert numbers == sorted(numbers)
        with self.catalogue() as catalogue:
            events = [event for _, event in catalogue.events()]
            shards = catalogue.shards(session=self.session)
            (dataset,) = [entry for entry in catalogue.datasets() if entry.session == self.session]
        assert dataset.state == "complete"
        assert dataset.frames == len({sequence for sequence, _ in registered})
        assert sum(isinstance(event, ShardRegistered) for event in events) == len(shards)
        assert sum(isinstance(event, DatasetRegistered) for event in events) == 1


def _toml(values: Mapping[str, Any]) -> str:
    plain = [
        f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, Mapping)
    ]
    tables = []
    for section, table in values.items():
        if isinstance(table, Mapping):
            lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
            tables.append("\n".join([f"[{section}]", *lines]))
    return "\n".join([*plain, *tables]) + "\n"
