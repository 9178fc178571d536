"""The agent under a real systemd, on a machine of its own: installed, steered, killed, stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric_agents.service import UNIT_NAME

from ..servers.systemd_machine import SystemdMachine

ACCOUNT = "eucentric"
HOME = Path("/var/lib/eucentric")
CONFIG = HOME / "agent.toml"
SETTINGS = f"""\
home = "{HOME}"
[agent]
name = "practice"
min_free_bytes = 0
[agent.driver]
seed = 1
"""
WAIT_S = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def eucentric(
    machine: SystemdMachine, *words: str, user: str = ACCOUNT, statuses: tuple[int, ...] = (0,)
) -> str:
    return machine.run(sys.executable, "-m", "eucentric", *words, user=user, statuses=statuses)


def wait(machine: SystemdMachine, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(machine.run("journalctl", "--no-pager", "-n", "100"))
        time.sleep(0.5)


def main_pid(machine: SystemdMachine) -> int:
    return int(machine.show(UNIT_NAME, "MainPID"))


def left(machine: SystemdMachine) -> str:
    """What still runs of the account."""
    return machine.run("ps", "-u", ACCOUNT, "-o", "args=", statuses=(0, 1)).strip()


def test_the_agent_lives_under_systemd(systemd_machine: SystemdMachine) -> None:
    machine = systemd_machine
    machine.add_account(ACCOUNT, HOME)
    machine.write(CONFIG, SETTINGS, user=ACCOUNT)
    install = ("agent", "install-service", "--config", str(CONFIG), "--account", ACCOUNT, "--start")
    eucentric(machine, *install, user="root")
    ready = f"test -e {HOME}/run/agent.json"
    wait(machine, lambda: machine.run("sh", "-c", f"{ready} && echo yes", statuses=(0, 1)) == "yes\n")
    assert "practice" in eucentric(machine, "agent", "status", "--config", str(CONFIG))

    before = main_pid(machine)
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT_NAME)
    wait(machine, lambda: main_pid(machine) not in (0, before))
    assert machine.show(UNIT_NAME, "NRestarts") == "1"
    status = (sys.executable, "-m", "eucentric", "agent", "status", "--config", str(CONFIG))
    wait(machine, lambda: "practice" in machine.run(*status, user=ACCOUNT, statuses=(0, 1, 2, 3)))

    machine.run("systemctl", "stop", UNIT_NAME)
    shown = {what: machine.show(UNIT_NAME, what) for what in ("ActiveState", "Result")}
    assert shown == {"ActiveState": "inactive", "Result": "success"}
    assert left(machine) == ""
