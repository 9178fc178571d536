"""The repository as a process: it starts, takes in what arrives, publishes, lists, verifies and stops."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from eucentric_core import DatasetRegistered, ManagedProcess, ShardRegistered
from eucentric_core.transport import PyroControlClient, StreamSubscriber, find_free_port
from eucentric_data_repository import Catalogue

WAIT_S = 30.0
COMMAND = [sys.executable, "-m", "eucentric_data_repository"]


@pytest.fixture
def config(tmp_path: Path, repository_folders: Any) -> Path:
    path = tmp_path / "repository.toml"
    path.write_text(
        f"home = {json.dumps(str(tmp_path / 'home'))}\n[repository]\n"
        f"root = {json.dumps(str(repository_folders.root))}\n"
        f"control_port = {find_free_port()}\ndata_port = {find_free_port()}\n"
    )
    return path


@pytest.fixture
def service(config: Path, tmp_path: Path) -> Iterator[ManagedProcess]:
    process = ManagedProcess(
        "repository", [*COMMAND, "serve", "--config", str(config)], log=tmp_path / "repository.log"
    )
    process.wait_ready((tmp_path / "home/run/repository.json").exists, timeout_s=WAIT_S)
    yield process
    process.stop()


def ready(tmp_path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((tmp_path / "home/run/repository.json").read_text())
    return facts


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)


def test_from_delivery_to_event_and_back_to_rest(
    service: ManagedProcess, config: Path, tmp_path: Path, sender: Any
) -> None:
    facts = ready(tmp_path)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    events = StreamSubscriber(facts["host"], facts["data_port"], mode="lossless", context=context)
    events.wait_subscribed(WAIT_S)
    shard = sender.seal(range(4))
    sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(shard))
    received = []
    for _ in range(2):
        message = events.receive(WAIT_S)
        assert message is not None
        received.append(message.event())
        events.acknowledge()
    assert isinstance(received[0], ShardRegistered)
    assert isinstance(received[1], DatasetRegistered)
    assert received[0].idempotency_key == shard.idempotency_key

    control = PyroControlClient(facts["host"], facts["control_port"])
    ping = control.call("ping", {})
    assert (ping["service"], ping["state"]) == ("repository", "serving")
    status = control.call("status", {})
    assert (status["datasets"], status["complete"], status["frames"]) == (1, 1, 4)
    assert (status["quarantined"], status["error"]) == (0, None)
    control.close()
    events.close()
    context.term()

    listed = json.loads(run("ls", "--config", str(config), "--json").stdout)
    assert [d["dataset_id"] for d in listed["datasets"]] == ["twin.s1"]
    table = run("ls", "--config", str(config))
    assert "twin.s1" in table.stdout

    service.stop()
    assert not (tmp_path / "home/run/repository.json").exists()
    # The catalogue is read without its service, too, and every byte is checked again.
    verified = run("verify", "--config", str(config))
    assert (verified.returncode, verified.stdout) == (0, "1 of 1 shards intact\n")
    path = sender.folders.shard("twin.s1", shard.file_name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    broken = run("verify", "--config", str(config), "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["bad"][0]["state"] == "changed"
    path.unlink()
    assert "missing: twin.s1/" in run("verify", "--config", str(config)).stdout


def test_a_second_service_says_the_port_is_taken(service: ManagedProcess, config: Path) -> None:
    second = run("serve", "--config", str(config))
    assert second.returncode == 2
    assert "is in use" in second.stderr
    assert "Traceback" not in second.stderr
    assert service.running


def test_two_services_in_the_same_root_take_turns(
    service: ManagedProcess, config: Path, tmp_path: Path, sender: Any
) -> None:
    second_config = tmp_path / "second.toml"
    ports = {"control_port": find_free_port(), "data_port": find_free_port()}
    second_config.write_text(
        f"home = {json.dumps(str(tmp_path / 'second'))}\n[repository]\n"
        f"root = {json.dumps(str(sender.folders.root))}\n"
        + "".join(f"{key} = {port}\n" for key, port in ports.items())
    )
    second = ManagedProcess(
        "second", [*COMMAND, "serve", "--config", str(second_config)], log=tmp_path / "second.log"
    )
    control = PyroControlClient("127.0.0.1", ports["control_port"])
    try:
        second.wait_ready((tmp_path / "second/run/repository.json").exists, timeout_s=WAIT_S)
        # Each looks again and again; either may have the root at the moment.
        shards = [sender.seal([number], index=number) for number in range(20)]
        for shard in shards:
            sender.deliver(shard)
        deadline = time.monotonic() + WAIT_S
        while control.call("status", {})["frames"] != len(shards):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # Whoever is left goes on alone.
        service.stop()
        sender.deliver(sender.seal([20], index=20))
        while control.call("status", {})["frames"] != len(shards) + 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        status = control.call("status", {})
        assert (status["quarantined"], status["error"]) == (0, None)
    finally:
        control.close()
        second.stop()
    with Catalogue(sender.folders.database) as catalogue:
        assert [event.kind for _, event in catalogue.events()] == ["shard.registered"] * 21


def test_listing_a_repository_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    answer = run("ls", "--root", str(tmp_path / "nowhere"))
    assert answer.returncode == 2
    assert "cannot be read" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_settings_that_could_never_work_are_refused_at_the_start(
    config: Path, tmp_path: Path, repository_folders: Any
) -> None:
    text = config.read_text()
    config.write_text(f"{text}metadata_schema = {json.dumps(str(tmp_path / 'nowhere.json'))}\n")
    refused = run("serve", "--config", str(config))
    assert (refused.returncode, "nowhere.json cannot be read" in refused.stderr) == (2, True)
    config.write_text(f"{text}[[repository.retention]]\nname = 'all'\nkeep = 'until_copied'\ncopies = 2\n")
    refused = run("serve", "--config", str(config))
    assert refused.returncode == 2
    assert "'all' wants 2 copies, and archives names 0" in refused.stderr
    config.write_text(
        f"{text}database = 'postgresql+psycopg://nobody@127.0.0.1:{find_free_port()}/catalogue'\n"
    )
    refused = run("serve", "--config", str(config))
    assert refused.returncode == 2
    assert "then start again" in refused.stderr
    assert "tried again" not in refused.stderr
