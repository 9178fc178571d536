"""On a real, narrow, shaped link: what the marks do, what pacing does to the queue, what the doctor finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from _netlab import HPC, OTHER, PC, Host, NetworkLab, end, tell, wait_for_line

from eucentric.certs import Authority
from eucentric_core import LinkSettings, Role

from .conftest import BENCHMARKS

RATE_BIT_S = 100e6
ROLES = str(BENCHMARKS / "_netlab_roles.py")
MEASUREMENTS = 5
FIXED = {"mode": "fixed", "line_rate_bit_s": RATE_BIT_S}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(lab: NetworkLab) -> Iterator[Start]:
    """Starts a role of the benchmarks on a host of the lab."""
    running: list[subprocess.Popen[str]] = []

    def begin(machine: Host, role: str, /, **options: Any) -> subprocess.Popen[str]:
        running.append(lab.start_python(machine, ROLES, role, json.dumps(options)))
        tell(running[-1])
        assert wait_for_line(running[-1]) == "ready"
        return running[-1]

    yield begin
    for process in reversed(running):
        end(process)


@pytest.fixture(scope="module")
def control(lab: NetworkLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A control server on the control PC, and how to reach it."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority.create(folder / "authority", name="lab", days=60)
    where = {"host": lab.addresses[PC], "port": 4310}
    files = {"authority": "authority.pem", "certificate": "certificate.pem", "key": "key.pem"}
    server, person = (
        {key: str(issued.folder / name) for key, name in files.items()}
        for issued in (
            authority.issue("agent", hosts=[lab.addresses[PC]], days=60),
            authority.issue("scientist", role=Role.SCIENTIST, days=60),
        )
    )
    process = lab.start_python(PC, ROLES, "control_server", json.dumps({**where, "tls": server}))
    tell(process)
    assert wait_for_line(process) == "ready"
    yield {**where, "tls": person, "period_s": 0.01}
    end(process)


def send_bulk(lab: NetworkLab, start: Start, link: dict[str, Any] | None, duration_s: float) -> float:
    """Bulk data from the control PC to the far machine for a while; their rate (bit/s)."""
    bulk = {"host": lab.addresses[HPC], "port": 4311, "streams": 1 if link else 4}
    sink = start(HPC, "bulk_sink", **bulk)
    start(PC, "bulk_source", **bulk, link=link)
    for pause_s in (duration_s, 0.0):
        tell(sink)
        time.sleep(pause_s)
    return float(json.loads(wait_for_line(sink))["bit_s"])


def test_every_packet_of_control_goes_before_all_others(
    lab: NetworkLab, start: Start, control: dict[str, Any]
) -> None:
    lab.honouring(RATE_BIT_S)
    client = start(HPC, "control_client", **control)
    tell(client, "1.0")
    calls = len(json.loads(wait_for_line(client)))
    assert lab.queue("10:")["packets"] > calls  # handshakes of TCP and TLS, answers, acknowledgements
    assert lab.queue("20:")["packets"] == 0


def test_bulk_data_go_after_control_even_unpaced(
    lab: NetworkLab, start: Start, control: dict[str, Any]
) -> None:
    lab.honouring(RATE_BIT_S)
    send_bulk(lab, start, None, 0.5)
    assert lab.queue("20:")["packets"] > 1000
    assert lab.queue("10:")["packets"] == 0


def test_paced_data_fill_a_plain_link_without_losing_a_packet_in_its_queue(
    lab: NetworkLab, start: Start
) -> None:
    lab.dumb(RATE_BIT_S)
    paced_bit_s = send_bulk(lab, start, FIXED, 1.5)
    queue = lab.queue("1:")
    assert queue["drops"] == 0
    # The machine may be too busy to reach it, but more than it was told it must never send.
    assert 0.3 * RATE_BIT_S < paced_bit_s < 0.95 * RATE_BIT_S


def measured(lab: NetworkLab, home: Path, host: str, far: Host) -> dict[str, Any]:
    """What the doctor on the control PC says of its link to the far machine."""
    serving = lab.start_python(far, "-m", "eucentric", "doctor", "--serve-link", "--host", host)
    assert "Carries no data" in wait_for_line(serving)
    doctor = [sys.executable, "-m", "eucentric", "doctor", "--link", lab.addresses[far]]
    outcome = subprocess.run(
        lab.command(PC, [*doctor, "--seconds", "1", "--json"]),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "EUCENTRIC__HOME": str(home)},
    )
    end(serving)
    assert outcome.returncode == 0, outcome.stderr
    report: dict[str, Any] = json.loads(outcome.stdout)
    return report


@pytest.mark.alone
def test_the_doctor_advises_pacing_at_the_right_rate_where_the_switch_looks_at_nothing(
    lab: NetworkLab, tmp_path: Path
) -> None:
    lab.dumb(RATE_BIT_S)
    report = measured(lab, tmp_path, lab.addresses[HPC], HPC)
    link = LinkSettings.model_validate(tomllib.loads(report["advice"]["toml"])["link"])
    assert link.honours == "none"
    assert link.mode == "adaptive"
    assert link.line_rate_bit_s == pytest.approx(RATE_BIT_S, rel=0.1)


@pytest.mark.alone
def test_the_doctor_finds_out_that_a_switch_honours_marks(lab: NetworkLab, tmp_path: Path) -> None:
    lab.honouring(RATE_BIT_S)
    for _ in range(MEASUREMENTS):
        report = measured(lab, tmp_path, lab.addresses[HPC], HPC)
        link = LinkSettings.model_validate(tomllib.loads(report["advice"]["toml"])["link"])
        if link.honours == "dscp":
            break
        # A machine that is busy with something else is late however its packets are marked.
    assert link.honours == "dscp"
    assert link.mode == "auto"


def namespaces() -> set[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.startswith("eulab-")}


def test_a_lab_leaves_nothing_behind_when_what_it_is_for_fails(lab: NetworkLab) -> None:
    del lab  # or skip
    before = namespaces()
    folder = ""
    process: subprocess.Popen[str] | None = None
    try:
        with NetworkLab(name="failing") as other:
            folder = other.folder
            process = other.start(OTHER, ["sleep", "600"])
            assert len(namespaces() - before) == 4
            raise RuntimeError("a benchmark failed")
    except RuntimeError:
        pass
    assert namespaces() == before
    assert not Path(folder).exists()
    assert process is not None
    assert not psutil.pid_exists(process.pid)


def test_what_a_killed_lab_has_left_is_swept_up_by_the_next(lab: NetworkLab) -> None:
    del lab
    program = f"""
import sys, time
sys.path.insert(0, {str(BENCHMARKS)!r})
from _netlab import NetworkLab
with NetworkLab():
    print("up", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as killed:
        assert wait_for_line(killed) == "up"
        left = {name for name in namespaces() if f"-{killed.pid}-" in name}
        assert len(left) == 4
        killed.kill()
    with NetworkLab(name="next"):
        assert not left & namespaces()
