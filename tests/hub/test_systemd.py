"""A hub under a real systemd, on a machine of its own: started, copied, killed by services, stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric.hub._units import TARGET, unit_name

from ..loop_site import POLICY
from ..servers.systemd_machine import SystemdMachine

ACCOUNT = "eucentric"
HOME = Path("/var/lib/eucentric")
CONFIG = HOME / "hub/eucentric.toml"
BACKUP = "eucentric-hub-backup"
SERVICES = ("postgres", "prefect", "mlflow", "repository", "flows", "dashboard", "proxy")
WAIT_S = 600.0

SITE = f"""\
home = "{HOME}"
[hub.server]
name = "localhost"
min_free_bytes = 0
[hub.server.backup]
passphrase_file = "{HOME}/backup-passphrase"
[hpc]
executor = "processes"
workers = 2
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def command(machine: SystemdMachine, *words: str) -> str:
    """`eucentric ...`, by the hub's account."""
    return machine.run(sys.executable, "-m", "eucentric", *words, user=ACCOUNT)


def set_up(machine: SystemdMachine) -> None:
    """As docs/hub.md says, for a plain Debian."""
    machine.add_account(ACCOUNT, HOME)
    machine.write(HOME / "site.toml", SITE, user=ACCOUNT)
    machine.write(HOME / "backup-passphrase", "correct horse battery staple", user=ACCOUNT)
    command(machine, "hub", "init", "--config", str(HOME / "site.toml"))
    command(machine, "certs", "init", "--folder", str(HOME / "authority"))
    issue = ("--folder", str(HOME / "authority"), "--server", "--host", "localhost")
    command(machine, "certs", "issue", "hub", *issue)
    shell = f"mkdir -p {HOME}/tls && mv {HOME}/authority/issued/hub {HOME}/tls/hub"
    machine.run("sh", "-c", shell, user=ACCOUNT)
    command(machine, "keys", "init", "--config", str(CONFIG))
    machine.run("mkdir", str(HOME / "policies"), user=ACCOUNT)
    machine.write(HOME / "policies/retrain-atoms.toml", POLICY.format(model="atoms"), user=ACCOUNT)
    machine.write(HOME / "hub/environment", "EUCENTRIC_TEST_WORD=given\n", user=ACCOUNT)
    machine.run("sh", "-c", f"cp {HOME}/hub/systemd/* /etc/systemd/system/")
    machine.run("systemctl", "daemon-reload")


def status(machine: SystemdMachine) -> dict[str, Any]:
    words = (sys.executable, "-m", "eucentric", "hub", "status", "--config", str(CONFIG), "--json")
    # A status of 1 says that something is wrong, and is what is asked here.
    found: dict[str, Any] = json.loads(machine.run(*words, user=ACCOUNT, statuses=(0, 1)))
    return found


def wait(machine: SystemdMachine, done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            shown = machine.run("journalctl", "--no-pager", "-n", "200")
            pytest.fail(f"{what}: {status(machine)}\n{shown}")
        time.sleep(1)


def loop(machine: SystemdMachine) -> dict[str, Any]:
    """Drifted frames, and the retraining that the flow service's own unit carries out."""
    folder = "/tmp/loop"  # noqa: S108 - of that machine, which nobody else is on
    machine.run("mkdir", folder, user=ACCOUNT)
    program = (sys.executable, "-m", "tests.hub.one_loop", str(CONFIG), folder)
    said = machine.run("env", f"--chdir={Path(__file__).parents[2]}", *program, user=ACCOUNT)
    run: dict[str, Any] = json.loads(said.splitlines()[-1])
    return run


def all_up(machine: SystemdMachine) -> bool:
    return all(one["state"] == "up" for one in status(machine)["services"])


def main_pid(machine: SystemdMachine, service: str) -> int:
    return int(machine.show(unit_name(service), "MainPID"))


def kill(machine: SystemdMachine, service: str) -> None:
    """kill -9 of the process itself; see it started again once, and all well."""
    before = main_pid(machine, service)
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit_name(service))
    wait(machine, lambda: main_pid(machine, service) not in (0, before), f"{service} stayed away")
    assert machine.show(unit_name(service), "NRestarts") == "1"
    wait(machine, lambda: all_up(machine), f"not all came back after {service}")


def test_a_hub_lives_under_systemd(systemd_machine: SystemdMachine) -> None:
    machine = systemd_machine
    set_up(machine)
    machine.run("systemctl", "enable", "--now", TARGET, f"{BACKUP}.timer")
    wait(machine, lambda: all_up(machine), "the hub did not come up")

    assert status(machine)["problems"] == ["there is no backup yet: `eucentric hub backup`"]
    machine.run("systemctl", "start", f"{BACKUP}.service")
    command(machine, "hub", "status", "--config", str(CONFIG))  # nothing is wrong: a status of 1 would fail
    assert machine.show(f"{BACKUP}.timer", "ActiveState") == "active"

    run = loop(machine)
    assert (run["state"], run["version"]) == ("promoted", 2), run["reason"]
    flows = f"/proc/{main_pid(machine, 'flows')}/environ"
    assert "EUCENTRIC_TEST_WORD=given" in machine.run("cat", flows).split("\0")

    for service in SERVICES:
        kill(machine, service)
    command(machine, "hub", "status", "--config", str(CONFIG))

    machine.run("systemctl", "stop", TARGET)
    for service in SERVICES:
        shown = {what: machine.show(unit_name(service), what) for what in ("ActiveState", "Result")}
        assert shown == {"ActiveState": "inactive", "Result": "success"}, service
    left = machine.run("ps", "-u", ACCOUNT, "-o", "args=", statuses=(0, 1))
    assert left.strip() == ""
