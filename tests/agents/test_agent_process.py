"""The agent as it runs on a control PC: three processes that look after each other, and nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from eucentric_agents import verify_audit
from eucentric_agents._cli import app
from eucentric_agents.control import AuditRecord
from eucentric_agents.data import DataProcess
from eucentric_core import (
    InstrumentLostError,
    ManagedProcess,
    SessionStarted,
    SessionStopped,
    Settings,
    connect,
)
from eucentric_core.transport import PyroControlClient, StreamSubscriber, find_free_port
from eucentric_core.vocabulary import ScanStream
from eucentric_transfer import ShardReader

from .rig import wait_until

SCAN = ScanStream(height_px=128, width_px=128, max_frames_per_s=100)


class Machine:
    """A control PC: its settings file, its home, and the agent on it."""

    def __init__(self, folder: Path, **agent: Any) -> None:
        folder.mkdir(exist_ok=True)
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
        self.process: ManagedProcess | None = None

    @property
    def serve(self) -> list[str]:
        """The command that starts the agent."""
        return [sys.executable, "-m", "eucentric_agents", "serve", "--config", str(self.config)]

    def start(self) -> ManagedProcess:
        """Start the agent, if it is not running, and wait until it answers."""
        if self.process is None or not self.process.running:
            ready = self.home / "run" / "agent.json"
            # One that was killed has left it behind.
            ready.unlink(missing_ok=True)
            self.process = ManagedProcess("agent", self.serve, log=self.home / "agent.out")
            self.process.wait_ready(ready.exists, timeout_s=30)
        return self.process

    def ask(self, *words: str) -> dict[str, Any]:
        """Run another command of the agent's command line and return its JSON."""
        outcome = CliRunner().invoke(app, [*words, "--config", str(self.config), "--json"])
        assert outcome.exit_code == 0, outcome.output
        answer: dict[str, Any] = json.loads(outcome.stdout)
        return answer

    def state(self) -> object:
        """What the agent says about itself."""
        client = PyroControlClient("127.0.0.1", self.control_port)
        try:
            return client.call("ping", {})["state"]
        finally:
            client.close()

    def child(self, service: str) -> psutil.Process:
        """A child of the agent: `agent-data`, or `driver`."""
        ready = json.loads((self.home / "run" / f"{service}.json").read_text())
        return psutil.Process(ready["pid"])

    def made_safe(self) -> list[dict[str, Any]]:
        """How often the driver host has made the instrument safe by itself, by its own log."""
        lines = (self.home / "logs" / "driver.jsonl").read_text().splitlines()
        return [entry["made_safe"] for entry in map(json.loads, lines) if "made_safe" in entry]

    def audited(self, action: str) -> list[AuditRecord]:
        """The audit records of one action."""
        lines = (self.home / "agent" / "audit.jsonl").read_text().splitlines()
        records = [AuditRecord.model_validate_json(line) for line in lines]
        return [record for record in records if record.action == action]

    def recorded(self, session: str) -> list[int]:
        """Sequence numbers of all recorded images of a session, in the order of the shards."""
        numbers: list[int] = []
        # Sealed shards alone: what lies in `open/` is still written to, and a dot begins one being built.
        for path in sorted((self.home / "agent" / "recording" / "shards").glob("[!.]*.h5")):
            with ShardReader(path) as shard:
                if shard.session == session:
                    numbers += [header.sequence for header in shard.headers("haadf")]
        return numbers


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The control PC of this story. Each test starts its agent if none is running."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    yield machine
    if machine.process is not None:
        machine.process.stop()


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.alone
def test_a_killed_agent_leaves_a_safe_instrument_and_starts_again_with_a_void_lease(machine: Machine) -> None:
    agent = machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    children = [machine.child("agent-data"), machine.child("driver")]
    with scope.control(reason="power cut"):
        epoch = scope.lease().epoch
        scope.start_session("power-cut")
        scope.unblank(max_duration_s=600)
        scope.stream(SCAN)
        wait_until(lambda: scope.state().next_sequence > 20)
        killed_s = time.monotonic()
        os.kill(agent.pid, signal.SIGKILL)
        wait_until(lambda: all(gone(child) for child in children), within_s=15)
    agent.stop()
    gone_s = [made["monotonic_s"] for made in machine.made_safe() if "process is gone" in made["reason"]]
    assert gone_s[-1] - killed_s < 3
    # The host has closed the session that the agent could not close any more.
    recorded = machine.recorded("power-cut")
    assert len(recorded) > 20
    assert recorded == list(range(len(recorded)))

    machine.start()
    successor = connect("127.0.0.1", machine.control_port, client="bob")
    assert successor.lease().holder is None
    assert successor.state().beam_blanked
    with successor.control(reason="after the power cut"):
        assert successor.lease().epoch == epoch + 1
    successor.close()
    scope.close()


def test_frames_reach_a_subscriber_between_the_two_session_events_and_are_recorded(machine: Machine) -> None:
    agent = machine.start()
    assert machine.child("agent-data").ppid() == machine.child("driver").ppid() == agent.pid
    status = machine.ask("status")
    assert status["agent"]["state"] == "ready"
    assert status["capabilities"]["simulated"] is True
    assert status["state"]["beam_blanked"] is True

    scope = connect("127.0.0.1", machine.control_port, client="ada")
    streams = ["haadf", "truth", "events"]
    with StreamSubscriber("127.0.0.1", machine.data_port, streams=streams, mode="lossless") as subscriber:
        subscriber.wait_subscribed(5)
        with scope.control(reason="look"):
            scope.start_session("seen", sample="flake", material="mos2")
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
    assert (started.session, started.sample, started.material) == ("seen", "flake", "mos2")
    assert isinstance(stopped, SessionStopped)
    assert stopped.frames == 25
    wait_until(lambda: machine.recorded("seen") == list(range(25)))


def test_when_the_data_process_dies_acquisition_stops_and_can_be_started_again(machine: Machine) -> None:
    machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    with scope.control(reason="accident"):
        scope.start_session("accident")
        scope.unblank(max_duration_s=600)
        scope.stream(SCAN)
        first = machine.child("agent-data")
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: scope.state().beam_blanked and not scope.state().scanning)
        wait_until(lambda: machine.state() == "ready", within_s=20)
        assert machine.child("agent-data").pid != first.pid
        before = scope.state().next_sequence
        scope.stream(SCAN.model_copy(update={"max_frames": 5}))
        wait_until(lambda: not scope.state().scanning)
        assert scope.state().fault is None
        assert scope.state().next_sequence == before + 5
        scope.stop_session()
    scope.close()
    wait_until(lambda: machine.recorded("accident")[-5:] == list(range(before, before + 5)))


def test_when_the_driver_host_dies_a_fresh_one_makes_safe_first_and_the_session_is_over(
    machine: Machine,
) -> None:
    machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    first = machine.child("driver")
    with scope.control(reason="crash"), ThreadPoolExecutor() as threads:
        scope.start_session("crash")
        scope.unblank(max_duration_s=600)
        scope.stream(SCAN.model_copy(update={"max_frames": 20}))
        wait_until(lambda: not scope.state().scanning)
        # A frame that takes long enough to be interrupted.
        long_scan = threads.submit(scope.acquire_scan, height_px=4096, width_px=4096)
        wait_until(lambda: scope.state().scanning)
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(InstrumentLostError, match="driver host"):
            long_scan.result(timeout=20)
        wait_until(lambda: machine.state() == "ready" and machine.audited("driver.restarted") != [])
        assert machine.child("driver").pid != first.pid
        state = scope.state()
        assert (state.session, state.scanning, state.beam_blanked) == (None, False, True)
        assert machine.made_safe()[-1]["reason"] == "an earlier driver host was lost"
        scope.start_session("after-the-crash")
        scope.stop_session()
    scope.close()
    assert len(machine.audited("driver.lost")) == 1
    wait_until(lambda: machine.recorded("crash") == list(range(20)))


@pytest.mark.alone
def test_frames_go_past_an_agent_that_stands_still_until_the_driver_host_makes_safe(machine: Machine) -> None:
    agent = machine.start()
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    with (
        StreamSubscriber("127.0.0.1", machine.data_port, streams=["haadf"], mode="newest") as frames,
        scope.control(reason="a stall"),
    ):
        frames.wait_subscribed(5)
        scope.start_session("stall")
        scope.unblank(max_duration_s=600)
        scope.stream(SCAN)
        before, known = scope.state().next_sequence, len(machine.made_safe())
        stopped_s = time.monotonic()
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            sequence = 0
            while sequence < before + 20:
                message = frames.receive(10)
                assert message is not None
                sequence = message.frame().header.sequence
                frames.acknowledge()
            wait_until(lambda: len(machine.made_safe()) > known)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        made_safe = machine.made_safe()[-1]
        assert "silent" in made_safe["reason"]
        assert made_safe["monotonic_s"] - stopped_s < 3
        wait_until(lambda: made_safe in [record.details for record in machine.audited("driver.made_safe")])
        assert scope.state().beam_blanked
        assert not scope.state().scanning
        scope.stop_session()
    scope.close()


def test_a_second_agent_with_the_same_home_is_refused_and_touches_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    agent = machine.start()
    children = [machine.child("agent-data"), machine.child("driver")]
    names = ("agent", "agent-console", "agent-data", "agent-data.settings", "driver")
    files = [*(machine.home / "run" / f"{name}.json" for name in names), machine.home / "agent" / "agent.pid"]
    before = [path.read_bytes() for path in files]
    other = Machine(tmp_path / "other")
    on_other_ports = [*other.serve, "--home", str(machine.home)]
    for command in (on_other_ports, machine.serve):
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2
        assert f"An agent already runs with this home (pid {agent.pid})." in second.stderr
        assert "Traceback" not in second.stderr
    assert [path.read_bytes() for path in files] == before
    # A child whose agent lives is no leftover, whoever looks.
    DataProcess(Settings(home=machine.home)).await_predecessor()
    assert [machine.child("agent-data"), machine.child("driver")] == children
    assert all(child.is_running() for child in children)
    assert machine.state() == "ready"


def test_what_a_killed_agent_left_behind_is_waited_for(tmp_path: Path) -> None:
    handed_over = tmp_path / "run" / "agent-data.settings.json"
    child = "import time; time.sleep(2)"
    arguments = [sys.executable, "-c", child, str(handed_over), "--parent-pid"]
    agent = (
        "import os, subprocess;"
        f"print(subprocess.Popen([*{arguments!r}, str(os.getpid())], stdout=-3, stderr=-3).pid)"
    )
    told = subprocess.run([sys.executable, "-c", agent], capture_output=True, text=True, timeout=30)
    orphan = psutil.Process(int(told.stdout))
    handed_over.parent.mkdir()
    (tmp_path / "run" / "agent-data.json").write_text(json.dumps({"pid": orphan.pid}))
    assert not gone(orphan)
    DataProcess(Settings(home=tmp_path)).await_predecessor()
    assert gone(orphan)


def test_stopping_in_the_middle_of_a_scan_closes_the_session_and_keeps_every_frame(machine: Machine) -> None:
    agent = machine.start()
    children = [machine.child("agent-data"), machine.child("driver")]
    console = machine.home / "run" / "agent-console.json"
    assert stat.S_IMODE(console.stat().st_mode) == 0o600
    scope = connect("127.0.0.1", machine.control_port, client="ada")
    with StreamSubscriber("127.0.0.1", machine.data_port, streams=["events"], mode="lossless") as events:
        events.wait_subscribed(5)
        with scope.control(reason="interrupted"):
            scope.start_session("interrupted")
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
    assert all(gone(child) for child in children)
    assert stopped.frames > 30
    assert machine.recorded("interrupted") == list(range(stopped.frames))
    assert list((machine.home / "run").iterdir()) == []
    summary = verify_audit(machine.home / "agent" / "audit.jsonl")
    assert summary.records > 5
    # Log lines went to the bounded logs alone: nothing bounds the files of what a process prints.
    logs = machine.home / "logs"
    for out in logs.glob("*.out"):
        assert out.read_text() == ""
    # One line for each time that it was started here.
    said = (machine.home / "agent.out").read_text().splitlines()
    assert {"is ready on port" in line for line in said} == {True}
    for log in ("agent.jsonl", "agent-data.jsonl", "driver.jsonl"):
        assert '"stopped"' in (machine.home / "logs" / log).read_text()


def test_a_start_that_cannot_work_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    recording = tmp_path / "nan.npy"
    np.save(recording, np.full((32, 32), np.nan))
    driver = {"path": str(recording), "pixel_size_m": 1e-11}
    unplayable = Machine(tmp_path / "unplayable", instrument="replay")
    with unplayable.config.open("a") as config:
        config.write("[agent.driver]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in driver.items()))
    control, data = Machine(tmp_path / "control"), Machine(tmp_path / "data")
    why = {
        Machine(tmp_path / "unknown", instrument="telescope"): "no driver named 'telescope'",
        unplayable: "not finite",
        control: f"Port {control.control_port}",
        data: f"Port {data.data_port}",
        Machine(tmp_path / "full", min_free_bytes=1 << 60): "MiB free",
        Machine(tmp_path / "misspelt", instrumnt="twin"): "agent.instrumnt",
    }
    with ExitStack() as held:
        for port in (control.control_port, data.data_port):
            other = held.enter_context(socket.socket())
            other.bind(("127.0.0.1", port))
            other.listen()
        starts = {machine: subprocess.Popen(machine.serve, stderr=PIPE, text=True) for machine in why}
        for start in starts.values():
            held.enter_context(start)
            held.callback(start.kill)
        for machine, start in starts.items():
            said = start.communicate(timeout=60)[1]
            assert start.returncode == 2, said
            assert why[machine] in said
            assert "Traceback" not in said
            assert list((machine.home / "run").glob("*")) == []
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(str(tmp_path) in word for command in commands for word in command)
