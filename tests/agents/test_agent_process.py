"""The agent as it runs on a control PC: two processes, frames to whoever subscribes, nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from eucentric_agents import verify_audit
from eucentric_core import ManagedProcess, SessionStarted, SessionStopped, connect
from eucentric_core.transport import PyroControlClient, StreamSubscriber, find_free_port
from eucentric_core.vocabulary import ScanStream
from eucentric_transfer import ShardReader

from .rig import wait_until

SCAN = ScanStream(height_px=128, width_px=128, max_frames_per_s=100)


class Machine:
    """A control PC: its settings file, its home, and the agent on it."""

    def __init__(self, folder: Path, **agent: Any) -> None:
        self.home = folder / "home"
        self.config = folder / "eucentric.toml"
        self.control_port, self.data_port = find_free_port(), find_free_port()
        values = {
            "control_port": self.control_port,
            "data_port": self.data_port,
            "min_free_bytes": 0,
            **agent,
        }
        lines = [f"home = {json.dumps(str(self.home))}", "[agent]"]
        self.config.write_text(
            "\n".join(lines + [f"{k} = {json.dumps(v)}" for k, v in values.items()]) + "\n"
        )
        self.command = [sys.executable, "-m", "eucentric_agents"]
        self.process: ManagedProcess | None = None

    def start(self) -> ManagedProcess:
        """Start the agent and wait until it answers."""
        command = [*self.command, "serve", "--config", str(self.config)]
        self.process = ManagedProcess("agent", command, log=self.home / "agent.out")
        self.process.wait_ready((self.home / "run" / "agent.json").exists, timeout_s=30)
        return self.process

    def ask(self, *words: str) -> dict[str, Any]:
        """Run another command of the agent's command line and return its JSON."""
        outcome = subprocess.run(
            [*self.command, *words, "--config", str(self.config), "--json"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer: dict[str, Any] = json.loads(outcome.stdout)
        return answer

    def state(self) -> object:
        """What the agent says about itself."""
        client = PyroControlClient("127.0.0.1", self.control_port)
        try:
            return client.call("ping", {})["state"]
        finally:
            client.close()

    def data_process(self) -> psutil.Process:
        """The agent's child."""
        ready = json.loads((self.home / "run" / "agent-data.json").read_text())
        return psutil.Process(ready["pid"])

    def recorded(self) -> list[int]:
        """Sequence numbers of all recorded images, in the order of the shards."""
        numbers: list[int] = []
        for path in sorted((self.home / "agent" / "recording").rglob("*.h5")):
            with ShardReader(path) as shard:
                numbers += [header.sequence for header in shard.headers("haadf")]
        return numbers


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A control PC whose agent is stopped at the end."""
    machine = Machine(tmp_path)
    yield machine
    if machine.process is not None:
        machine.process.stop()


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_frames_reach_a_subscriber_between_the_two_session_events_and_are_recorded(machine: Machine) -> None:
    agent = machine.start()
    data = machine.data_process()
    assert data.ppid() == agent.pid
    status = machine.ask("status")
    assert status["agent"]["state"] == "ready"
    assert status["capabilities"]["simulated"] is True
    assert status["state"]["beam_blanked"] is True

    scope = connect("127.0.0.1", machine.control_port, client="ada")
    streams = ["haadf", "truth", "events"]
    with StreamSubscriber("127.0.0.1", machine.data_port, streams=streams, mode="lossless") as subscriber:
        subscriber.wait_subscribed(5)
        with scope.control(reason="look"):
            scope.start_session("s1", sample="flake", material="mos2")
            scope.unblank(max_duration_s=60)
            scope.stream(SCAN.model_copy(update={"max_frames": 25}))
            messages = []
            for _ in range(51):
                message = subscriber.receive(10)
                assert message is not None
                messages.append(message)
                subscriber.acknowledge()
            scope.stop_session()
            last = subscriber.receive(10)
            assert last is not None
            messages.append(last)
    scope.close()
    first, *between, end = messages
    assert [message.stream for message in between] == ["truth", "haadf"] * 25
    assert [message.frame().header.sequence for message in between[1::2]] == list(range(25))
    started, stopped = first.event(), end.event()
    assert isinstance(started, SessionStarted)
    assert (started.session, started.sample, started.material) == ("s1", "flake", "mos2")
    assert isinstance(stopped, SessionStopped)
    assert stopped.frames == 25

    agent.stop()
    assert gone(data)
    assert machine.recorded() == list(range(25))
    assert list((machine.home / "run").iterdir()) == []
    assert machine.ask("verify-audit")["records"] > 5


def test_stopping_in_the_middle_of_a_scan_closes_the_session_and_keeps_every_frame(machine: Machine) -> None:
    agent = machine.start()
    data = machine.data_process()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    with StreamSubscriber("127.0.0.1", machine.data_port, streams=["events"], mode="lossless") as events:
        events.wait_subscribed(5)
        with scope.control(reason="interrupted"):
            scope.start_session("s1")
            scope.stream(SCAN)
            wait_until(lambda: scope.state().next_sequence > 30)
            agent.stop()
        stopped = None
        while not isinstance(stopped, SessionStopped):
            message = events.receive(5)
            assert message is not None
            stopped = message.event()
            events.acknowledge()
    scope.close()
    assert gone(data)
    assert stopped.frames > 30
    assert machine.recorded() == list(range(stopped.frames))
    verify_audit(machine.home / "agent" / "audit.jsonl")


def test_when_the_data_process_dies_acquisition_stops_and_can_be_started_again(machine: Machine) -> None:
    machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    with scope.control(reason="accident"):
        scope.start_session("s1")
        scope.unblank(max_duration_s=600)
        scope.stream(SCAN)
        first = machine.data_process()
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: scope.state().beam_blanked and not scope.state().scanning)
        wait_until(lambda: machine.state() == "ready", within_s=20)
        assert machine.data_process().pid != first.pid
        before = scope.state().next_sequence
        scope.stream(SCAN.model_copy(update={"max_frames": 5}))
        wait_until(lambda: not scope.state().scanning)
        assert scope.state().fault is None
        assert scope.state().next_sequence == before + 5
        scope.stop_session()
    scope.close()
    assert machine.process is not None
    machine.process.stop()
    assert machine.recorded()[-5:] == list(range(before, before + 5))


def test_a_killed_agent_takes_its_data_process_along_and_starts_again_with_a_void_lease(
    machine: Machine,
) -> None:
    agent = machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    data = machine.data_process()
    with scope.control(reason="power cut"):
        epoch = scope.lease().epoch
        os.kill(agent.pid, signal.SIGKILL)
        wait_until(lambda: gone(data), within_s=15)
    agent.stop()
    (machine.home / "run" / "agent.json").unlink()
    machine.start()
    successor = connect("127.0.0.1", machine.control_port, client="bob")
    assert successor.lease().holder is None
    assert successor.state().beam_blanked
    with successor.control(reason="after the power cut"):
        assert successor.lease().epoch == epoch + 1
    successor.close()
    scope.close()


def _refused(machine: Machine, *flags: str) -> str:
    outcome = subprocess.run(
        [*machine.command, "serve", "--config", str(machine.config), *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert outcome.returncode == 2, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert list((machine.home / "run").glob("*")) == []
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(str(machine.home) in word for command in commands for word in command)
    return outcome.stderr


def test_a_start_that_cannot_work_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "no driver named 'telescope'" in _refused(Machine(tmp_path), "--instrument", "telescope")

    recording = tmp_path / "nan.npy"
    np.save(recording, np.full((32, 32), np.nan))
    options = {"path": str(recording), "pixel_size_m": 1e-11}
    broken = Machine(tmp_path, instrument="replay")
    with broken.config.open("a") as config:
        config.write("[agent.driver]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in options.items()))
    assert "not finite" in _refused(broken)

    for name in ("control_port", "data_port"):
        taken = Machine(tmp_path)
        with socket.socket() as other:
            other.bind(("127.0.0.1", getattr(taken, name)))
            other.listen()
            assert f"Port {getattr(taken, name)}" in _refused(taken)

    full = Machine(tmp_path, min_free_bytes=1 << 60)
    assert "MiB free" in _refused(full)

    misspelt = Machine(tmp_path, instrumnt="twin")
    assert "agent.instrumnt" in _refused(misspelt)
