"""MLflow is killed, slow or lies: the edge answers every frame meanwhile, and what waited goes on."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import zmq

from eucentric_core import ManagedProcess, answers_ok, load_settings
from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_flows._patience import patient
from eucentric_model_registry import RegisteredVersion, Registry, RegistryUnavailableError, pushing

from ..edge.bench import Edge, microscope, publish
from ..edge.bundle_maker import frame_of, image
from ..model_registry.hub import Hub
from ..servers.http_relay import Answer, running_relay

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0


class Catalogue:
    """An MLflow of its own, that can be killed and started again over the same files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.url = f"http://127.0.0.1:{find_free_port()}"
        self._config = folder / "eucentric.toml"
        self._config.write_text(f'home = "{folder}"\n[hub]\nmlflow_url = "{self.url}"\n')
        self._log = folder / "server.log"
        self._process: ManagedProcess | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "eucentric_model_registry", "models", "server"]
        self._process = ManagedProcess("MLflow", [*command, "--config", str(self._config)], log=self._log)
        self._process.wait_ready(lambda: answers_ok(f"{self.url}/health"), timeout_s=PATIENCE_S)

    def stop(self) -> None:
        """End it, whatever it is doing."""
        if self._process is not None:
            self._process.stop()
            self._process = None


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue")
    try:
        catalogue.start()
        yield catalogue
    finally:
        catalogue.stop()


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


class Beamtime:
    """An edge that goes by the releases of a hub, a microscope that sends frames, and who counts answers."""

    def __init__(self, folder: Path, mlflow_url: str) -> None:
        self.agent_port, control_port = find_free_port(), find_free_port()
        folder.mkdir()
        self.hub = Hub(folder, mlflow_url, "atoms", control_port)
        text = self.hub.config.read_text()
        self.hub.config.write_text(text.replace("[edge]\n", f"push_port = {find_free_port()}\n[edge]\n"))
        self.hub.settings = load_settings(self.hub.config)
        self.edge = Edge(
            folder / "edge",
            self.hub.trusted,
            self.agent_port,
            releases=f'"{self.hub.settings.releases_path}"',
            release_poll_s=0.5,
        )
        ports = f"control_port = {self.edge.control_port}", f"control_port = {control_port}"
        self.edge.config.write_text(self.edge.config.read_text().replace(*ports))
        self.edge.control_port = control_port
        shutil.copy(self.hub.keys.root, self.edge.home / "root.json")
        self.sent = 0

    @contextmanager
    def running(self, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[None]:
        """Version 1 serves, and the hub's push runs beside it."""
        self.hub.register(1)
        with microscope(context, self.agent_port) as self._scope, self.edge.running(context):
            assert self.hub.move(1).deployment.state == "serving"
            while self.edge.status()["frames_answered"] == 0:
                self._send(self._scope)
            with pushing(self.hub.settings, retry_s=0.5):
                yield

    def answers(self, frames: int) -> set[int]:
        """Send frames, take every answer, and return the versions that answered."""
        first = self.sent
        for _ in range(frames):
            self._send(self._scope)
        self.edge.listen_until(self.sent - 1)
        headers = [header for header, _ in self.edge.results if header.sequence >= first]
        # Two streams of each frame, in order, none left out.
        assert [header.sequence for header in headers] == [n for n in range(first, self.sent) for _ in (0, 1)]
        return {header.model_version for header in headers}

    def _send(self, scope: StreamPublisher) -> None:
        publish(scope, frame_of(image(self.sent % 4), self.sent))
        self.sent += 1


def test_mlflow_is_killed_while_frames_are_answered_and_what_waited_goes_on(
    catalogue: Catalogue,
    tmp_path: Path,
    context: zmq.Context[zmq.Socket[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    beamtime = Beamtime(tmp_path / "site", catalogue.url)
    hub, waiting = beamtime.hub, threading.Event()
    with beamtime.running(context), ThreadPoolExecutor(1) as flow:
        assert beamtime.answers(20) == {1}
        catalogue.stop()
        with pytest.raises(RegistryUnavailableError):
            hub.registry.champion(hub.name)
        bundle = hub.build(2)

        def stage(_: object) -> RegisteredVersion:
            return hub.registry.register(hub.name, bundle)

        registered = flow.submit(patient(stage, longest_pause_s=0.5), lambda said: waiting.set())
        assert waiting.wait(PATIENCE_S)
        assert beamtime.answers(40) == {1}
        assert not registered.done()
        # Released without a catalogue: edges go by what is signed.
        hub.release(bundle, "the catalogue is down")
        deadline_s = time.monotonic() + PATIENCE_S
        while beamtime.edge.status()["model_version"] != 2:
            assert time.monotonic() < deadline_s
            beamtime.answers(1)
        # The new one is bad, and it is three in the morning.
        assert "serves v1" in " ".join(hub.run("rollback", "--reason", "misses dopants").stderr.split())
        assert beamtime.answers(20) == {1}
        catalogue.start()
        assert registered.result(PATIENCE_S).version == 2
        # A hint to look changes nothing at an edge that went back by hand; a person's word does.
        assert hub.move(2).deployment.state == "waiting"
        assert beamtime.answers(20) == {1}
        promoted = hub.run("promote", "v2", "--reason", "it was the specimen")
        assert promoted.exit_code == 0, promoted.output
        assert beamtime.answers(20) == {2}


def test_an_mlflow_that_is_slow_or_lies_costs_no_frame(
    catalogue: Catalogue, tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with running_relay(urlsplit(catalogue.url).port or 0) as relay:
        beamtime = Beamtime(tmp_path / "site", relay.url)
        hub = beamtime.hub
        with beamtime.running(context):
            versions = hub.registry.versions(hub.name)
            relay.pause_s = 2.0
            assert beamtime.answers(40) == {1}
            relay.well()
            # Somebody who owns MLflow says that another version is champion.
            aliases = [{"alias": "champion", "version": "9"}]
            lie = {"registered_models": [{"name": hub.name, "aliases": aliases}]}
            relay.answer = lambda method, path: Answer(200, json.dumps(lie).encode())
            assert beamtime.answers(40) == {1}
            assert beamtime.edge.status()["model_version"] == 1
            relay.well()
            assert Registry(relay.url, hub.trusted).versions(hub.name) == versions
