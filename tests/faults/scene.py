"""An agent, a scientist who steers over a link, and the simulated hardware's log, which tells the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eucentric_core import ManagedProcess, SteeringClient, connect
from eucentric_core.transport import find_free_port

from ..links import Link

__all__ = ["SAFE_WITHIN_S", "Activity", "Microscope", "Scientist", "microscope", "scientist"]

SAFE_WITHIN_S = 3.0
"""From the fault to the beam being blanked and everything standing still."""

HERE = Path(__file__).parent

Activity = Literal["looking", "streaming", "scanning", "moving", "hung"]

SETTINGS = """
home = {home}
[agent]
name = "scope"
control_port = {control}
data_port = {data}
min_free_bytes = 0
[agent.driver]
seed = 5
real_time = true
journal = {journal}
[agent.driver.faults]
file = {faults}
[agent.driver.specimen]
extent_m = 20e-9
[agent.driver.stage]
speed_m_per_s = 0.3e-9
[agent.driver.column]
field_of_view_m = 4e-9
"""


@dataclass
class Microscope:
    """An agent's process and what it leaves behind."""

    folder: Path
    control_port: int
    lease_duration_s: float
    agent: ManagedProcess = field(init=False)

    @property
    def home(self) -> Path:
        """The agent's home folder."""
        return self.folder / "home"

    def start(self) -> None:
        """Start the agent, or start it again."""
        ready = self.home / "run" / "agent.json"
        ready.unlink(missing_ok=True)
        self.agent = ManagedProcess(
            "agent",
            [
                *(sys.executable, str(HERE / "agent_process.py")),
                *(str(self.folder / "settings.toml"), str(self.lease_duration_s)),
            ],
            log=self.folder / "agent.log",
        )
        self.agent.wait_ready(ready.exists, timeout_s=60)

    def signal(self, number: int) -> None:
        """Send the agent's process a signal."""
        os.kill(self.agent.pid, number)

    def observe(self) -> SteeringClient:
        """A second person, beside the agent: no link in between."""
        return connect("127.0.0.1", self.control_port, client="witness")

    def break_driver(self, **faults: Any) -> None:
        """Switch faults of the simulated instrument on; without any, off."""
        (self.folder / "faults.json").write_text(json.dumps(faults), encoding="utf-8")

    def journal(self, *, since_s: float) -> list[dict[str, Any]]:
        """What the simulated hardware was told since a moment (monotonic)."""
        lines = (self.folder / "hardware.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if entry["monotonic_s"] >= since_s]

    def wait_told(self, what: str, *, since_s: float, within_s: float = SAFE_WITHIN_S) -> None:
        """Wait until the hardware was told something; fail if the deadline passes without it."""
        deadline_s = since_s + within_s
        while True:
            told = [e["monotonic_s"] for e in self.journal(since_s=since_s) if e["what"] == what]
            if told:
                assert told[0] <= deadline_s, f"{what} came {told[0] - since_s:.2f} s after the fault"
                return
            # The log's own time decides; a busy machine may show it to this process a little later.
            assert time.monotonic() < deadline_s + 2, f"{what} did not come within {within_s:g} s"
            time.sleep(0.02)

    def audit(self) -> list[dict[str, Any]]:
        """The records of the audit log."""
        lines = (self.home / "agent" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def microscope(folder: Path, *, lease_duration_s: float = 3.0) -> Iterator[Microscope]:
    """A running agent with a SIMULATED microscope; the lease is shorter than usual to save time."""
    port = find_free_port()
    places = {"home": folder / "home", "journal": folder / "hardware.jsonl", "faults": folder / "faults.json"}
    settings = SETTINGS.format(
        control=port, data=find_free_port(), **{name: json.dumps(str(p)) for name, p in places.items()}
    )
    (folder / "settings.toml").write_text(settings, encoding="utf-8")
    running = Microscope(folder, port, lease_duration_s)
    running.start()
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.signal(signal.SIGCONT)
        running.agent.stop()


@dataclass
class Scientist:
    """A program that steers through a link."""

    process: subprocess.Popen[str]
    link: Link

    def kill(self) -> None:
        """End without a word."""
        self.process.kill()

    def stumble(self) -> None:
        """Raise an exception that nobody expected."""
        self.process.send_signal(signal.SIGUSR1)

    def freeze(self) -> None:
        """Stand still, sockets open."""
        self.process.send_signal(signal.SIGSTOP)


@contextmanager
def scientist(scope: Microscope, activity: Activity) -> Iterator[Scientist]:
    """Someone who steers with the beam on and is at it when this begins."""
    with Link(scope.control_port) as link:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "steering_process.py"), str(link.port), activity],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if process.stdout is None:
            raise AssertionError("the program has no output")
        try:
            said = process.stdout.readline()
            assert said == "steering\n", said + process.stdout.read()
            yield Scientist(process, link)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(timeout=60)
            process.stdout.close()
