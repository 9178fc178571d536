"""A repository that other machines may reach: its events only with keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import zmq

from eucentric.certs import Authority
from eucentric_core import ManagedProcess, Role, ShardRegistered, load_settings, repository_data_access
from eucentric_core.transport import StreamSubscriber, find_free_port

WAIT_S = 30.0
COMMAND = [sys.executable, "-m", "eucentric_data_repository"]


def files(folder: Path) -> str:
    """Settings of a certificate."""
    return "".join(
        f"{name} = {json.dumps(str(folder / name) + '.pem')}\n"
        for name in ("authority", "certificate", "key")
    )


def configure(tmp_path: Path, root: Path, *, keys: bool) -> Path:
    """Settings of a repository on every address, and of one who follows its events."""
    authority = Authority.create(tmp_path / "authority", name="site", days=2)
    server = authority.issue("hub", hosts=["127.0.0.1"], days=1).folder
    person = authority.issue("vera", role=Role.VIEWER, days=1).folder
    config = tmp_path / "repository.toml"
    config.write_text(
        f"home = {json.dumps(str(tmp_path / 'home'))}\n[client.tls]\n{files(person)}"
        f'[repository]\nhost = "0.0.0.0"\nroot = {json.dumps(str(root))}\n'
        f"control_port = {find_free_port()}\ndata_port = {find_free_port()}\n"
        + (f"[repository.tls]\n{files(server)}" if keys else "")
    )
    return config


def test_its_events_reach_another_machine_by_keys(
    tmp_path: Path, repository_folders: Any, sender: Any
) -> None:
    config = configure(tmp_path, repository_folders.root, keys=True)
    process = ManagedProcess(
        "repository", [*COMMAND, "serve", "--config", str(config)], log=tmp_path / "repository.log"
    )
    try:
        process.wait_ready((tmp_path / "home/run/repository.json").exists, timeout_s=WAIT_S)
        settings = load_settings(config)
        with (
            zmq.Context() as context,
            StreamSubscriber(
                settings.repository.reachable_host,
                settings.repository.data_port,
                mode="lossless",
                context=context,
                access=repository_data_access(settings, client="vera"),
            ) as events,
        ):
            events.wait_subscribed(WAIT_S)
            sender.deliver(sender.seal(range(2)))
            message = events.receive(WAIT_S)
            assert message is not None
            assert isinstance(message.event(), ShardRegistered)
    finally:
        process.stop()


def test_for_other_machines_without_certificates_it_does_not_start(
    tmp_path: Path, repository_folders: Any
) -> None:
    config = configure(tmp_path, repository_folders.root, keys=False)
    refused = subprocess.run(
        [*COMMAND, "serve", "--config", str(config)], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2
    assert "The repository was asked to listen on 0.0.0.0 without certificates" in refused.stderr
    assert "Traceback" not in refused.stderr
