"""An edge that other machines may reach: results and events only with keys, models only by who may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from eucentric.certs import Authority
from eucentric_core import (
    BundleError,
    ManagedProcess,
    ModelRefused,
    NotAuthorisedError,
    Role,
    ServiceUnavailableError,
    Settings,
    TrustedKeys,
    channel_credentials,
    edge_data_access,
    load_settings,
)
from eucentric_core.transport import PyroControlClient, StreamSubscriber, find_free_port

pytestmark = pytest.mark.slow


class RemoteEdge:
    """An edge process on every address, and people with certificates."""

    def __init__(self, folder: Path, authority: Authority, trusted: TrustedKeys) -> None:
        self._folder = folder
        self._authority = authority
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "trusted-keys.json").write_text(trusted.model_dump_json())
        server = authority.issue("edge-pc", hosts=["127.0.0.1"], days=1).folder
        self._edge = (
            f'[edge]\nhost = "0.0.0.0"\ncontrol_port = {find_free_port()}\ndata_port = {find_free_port()}\n'
            f'trusted_keys = "{self.home / "trusted-keys.json"}"\n[edge.tls]\n{_files(server)}'
        )

    def config(self, name: str, role: Role) -> Path:
        """Settings of somebody."""
        person = self._authority.issue(name, role=role, days=1).folder
        config = self._folder / f"{name}.toml"
        config.write_text(f'home = "{self.home}"\n{self._edge}[client.tls]\n{_files(person)}')
        return config

    def start(self, config: Path) -> ManagedProcess:
        """Start the process."""
        command = [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)]
        process = ManagedProcess("edge", command, log=self.home / "edge.log")
        process.wait_ready((self.home / "run" / "edge.json").exists, timeout_s=60)
        return process


def _files(folder: Path) -> str:
    return "".join(f'{name} = "{folder / name}.pem"\n' for name in ("authority", "certificate", "key"))


def control_of(settings: Settings) -> PyroControlClient:
    """The edge's control channel, as these settings reach it."""
    edge = settings.edge
    credentials = channel_credentials(settings, edge)
    return PyroControlClient(edge.reachable_host, edge.control_port, timeout_s=30, credentials=credentials)


@pytest.fixture
def remote(tmp_path: Path, bundles: object) -> RemoteEdge:
    authority = Authority.create(tmp_path / "authority", name="site", days=2)
    return RemoteEdge(tmp_path, authority, bundles.trusted)  # type: ignore[attr-defined]


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


def test_results_are_for_holders_of_a_certificate_and_models_from_scientists(
    remote: RemoteEdge, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    vera, ada = remote.config("vera", Role.VIEWER), remote.config("ada", Role.SCIENTIST)
    process = remote.start(vera)
    try:
        settings = load_settings(vera)
        host, port = settings.edge.reachable_host, settings.edge.data_port
        access = edge_data_access(settings, client="vera")
        viewer, scientist = control_of(settings), control_of(load_settings(ada))
        rubbish = tmp_path / "rubbish"
        rubbish.mkdir()
        with (
            StreamSubscriber(host, port, mode="lossless", context=context, access=access) as listener,
            StreamSubscriber(host, port, mode="lossless", context=context) as stranger,
        ):
            listener.wait_subscribed(30)
            assert viewer.call("ping", {})["state"] == "no model"
            with pytest.raises(NotAuthorisedError, match="install needs the role scientist"):
                viewer.call("install", {"folder": str(rubbish)})
            with pytest.raises(BundleError):
                scientist.call("install", {"folder": str(rubbish)})
            message = listener.receive(30)
            assert message is not None
            assert isinstance(message.event(), ModelRefused)
            with pytest.raises(ServiceUnavailableError):
                stranger.wait_subscribed(0.2)
        command = [sys.executable, "-m", "eucentric_edge", "status", "--config", str(vera)]
        status = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert '"no model"' in status.stdout
        viewer.close()
        scientist.close()
    finally:
        process.stop()


def test_an_edge_for_other_machines_without_certificates_does_not_start(
    remote: RemoteEdge, tmp_path: Path
) -> None:
    config = remote.config("vera", Role.VIEWER)
    text = config.read_text()
    config.write_text(text[: text.index("[edge.tls]")])
    command = [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "asked to listen on 0.0.0.0 without certificates" in refused.stderr
    assert "[edge.tls]" in refused.stderr
    assert "Traceback" not in refused.stderr
