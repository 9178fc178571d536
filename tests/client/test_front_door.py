"""`import eucentric` is all that a notebook needs, and the example in the documentation is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eucentric
import eucentric_core
from eucentric.certs import Authority
from eucentric_core import ManagedProcess, Role
from eucentric_core.transport import find_free_port
from eucentric_core.vocabulary import COMMANDS


@pytest.fixture(params=["on this machine", "with keys"])
def agent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Arguments that lead to a running agent with the digital twin."""
    ports = {"control_port": find_free_port(), "data_port": find_free_port()}
    keyed = request.param == "with keys"
    config, mine = tmp_path / "machine.toml", tmp_path / "mine.toml"
    more = ""
    if keyed:
        authority = Authority.create(tmp_path / "authority", name="site", days=2)
        server = authority.issue("titan", hosts=["127.0.0.1"], days=1).folder
        more = f"host = '0.0.0.0'\n[agent.tls]\n{_files(server)}"
        person = authority.issue("ada", role=Role.SCIENTIST, days=1).folder
        mine.write_text(f"[client.tls]\n{_files(person)}")
    config.write_text(
        f"home = '{tmp_path}'\n[agent]\n"
        + "".join(f"{name} = {port}\n" for name, port in ports.items())
        + f"min_free_bytes = 0\nship_to = '{tmp_path / 'repository'}'\n{more}"
    )
    process = ManagedProcess(
        "agent",
        [sys.executable, "-m", "eucentric_agents", "serve", "--config", str(config)],
        log=tmp_path / "agent.out",
    )
    arguments = ["--control-port", str(ports["control_port"]), "--data-port", str(ports["data_port"])]
    try:
        process.wait_ready((tmp_path / "run" / "agent.json").exists, timeout_s=60)
        yield [*arguments, *(("--config", str(mine)) if keyed else ())]
    finally:
        process.stop()


def _files(folder: Path) -> str:
    return "".join(f"{name} = '{folder / name}.pem'\n" for name in ("authority", "certificate", "key"))


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


def test_the_steering_example_runs_as_it_is_written(agent: list[str], repository: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, str(repository / "examples" / "steer.py"), *agent],
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
