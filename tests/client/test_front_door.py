"""`import eucentric` is all that a notebook needs, and the example in the documentation is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eucentric
import eucentric_core
from eucentric_core import ManagedProcess
from eucentric_core.transport import find_free_port
from eucentric_core.vocabulary import COMMANDS


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Control and data port of a running agent with the digital twin."""
    ports = find_free_port(), find_free_port()
    config = tmp_path / "machine.toml"
    config.write_text(
        f"home = '{tmp_path}'\n[agent]\ncontrol_port = {ports[0]}\ndata_port = {ports[1]}\n"
        f"min_free_bytes = 0\nship_to = '{tmp_path / 'repository'}'\n"
    )
    process = ManagedProcess(
        "agent",
        [sys.executable, "-m", "eucentric_agents", "serve", "--config", str(config)],
        log=tmp_path / "agent.out",
    )
    try:
        process.wait_ready((tmp_path / "run" / "agent.json").exists, timeout_s=60)
        yield ports
    finally:
        process.stop()


def test_every_command_and_the_client_are_at_hand() -> None:
    assert {kind.__name__ for kind in COMMANDS.values()} <= set(eucentric.__all__)
    assert issubclass(eucentric.Scope, eucentric_core.SteeringClient)
    assert [name for name in eucentric.__all__ if not hasattr(eucentric, name)] == []


def test_the_module_is_a_command_too() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "eucentric", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert outcome.stdout.startswith("eucentric ")


def test_the_steering_example_runs_as_it_is_written(agent: tuple[int, int], repository: Path) -> None:
    control_port, data_port = agent
    outcome = subprocess.run(
        [
            *(sys.executable, str(repository / "examples" / "steer.py")),
            *("--control-port", str(control_port), "--data-port", str(data_port)),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert lines[0].endswith("(SIMULATED)")
    assert lines[1].startswith("stage: told 1.00e-08 m")
    assert [line.partition(":")[0] for line in lines[2:]] == ["frame 0", "frame 1", "frame 2"]
    assert all("defocus 5.0 nm" in line for line in lines[2:])
