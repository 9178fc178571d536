"""Each check sees the condition it is there for, and says what to do about it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eucentric.cli import main
from eucentric.doctor import Finding, examine
from eucentric.doctor._clock import check_clock, check_time_service
from eucentric.doctor._disk import check_disk, measure_writing
from eucentric.doctor._ports import check_port, check_ports
from eucentric.doctor._python import check_bytecode, check_descriptors, check_python
from eucentric.doctor._roles import PACKAGES_OF_ROLE, check_roles
from eucentric.doctor._tools import answer_of, check_globus, check_gpu, check_slurm, check_torch
from eucentric_core import AgentSettings, DashboardSettings, EdgeSettings, Settings
from eucentric_core.transport import find_free_port

LISTEN = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(600)
"""


@pytest.fixture
def occupied() -> Iterator[int]:
    """A port on which this test listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def program(folder: Path, name: str, answer: str, status: int = 0) -> str:
    """A real program that prints an answer, as `sinfo` or `nvidia-smi` would."""
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    """Findings by their name."""
    return {finding.name: finding for finding in findings}


def test_this_python_is_new_enough_and_an_old_one_is_not() -> None:
    assert check_python().status == "ok"
    assert check_python((3, 10)).status == "fail"
    assert "3.11" in check_python((3, 10)).fix


def test_a_setting_that_makes_every_start_slow_is_seen() -> None:
    assert check_bytecode({}).status == "ok"
    assert check_bytecode({"PYTHONDONTWRITEBYTECODE": "1"}).fix == "unset PYTHONDONTWRITEBYTECODE"


def test_too_few_descriptors_are_seen() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        (finding,) = check_descriptors()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.status == "warn"
    assert "ulimit -n" in finding.fix


def test_a_free_port_is_free() -> None:
    assert check_port("agent.data_port", "127.0.0.1", find_free_port()).status == "ok"


def test_a_port_of_somebody_else_names_him(occupied: int) -> None:
    finding = check_port("agent.data_port", "127.0.0.1", occupied)
    assert finding.status == "fail"
    assert f"process {os.getpid()}" in finding.detail
    assert "agent.data_port" in finding.fix


def test_a_port_of_our_own_service_is_in_order(tmp_path: Path) -> None:
    script = tmp_path / "eucentric"
    script.write_text(LISTEN)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        finding = check_port("agent.data_port", "127.0.0.1", int(service.stdout.readline()))
        service.kill()
    assert finding.status == "ok"
    assert f"our process {service.pid}" in finding.detail


def test_a_port_that_two_settings_want_is_seen() -> None:
    port = find_free_port()
    settings = Settings(agent=AgentSettings(data_port=port), edge=EdgeSettings(control_port=port))
    finding = by_name(list(check_ports(settings)))[f"port {port}"]
    assert finding.status == "fail"
    assert "agent.data_port, edge.control_port" in finding.detail


def test_ports_of_other_machines_are_left_alone(occupied: int) -> None:
    settings = Settings(dashboard=DashboardSettings(host="192.0.2.7", port=occupied))
    assert "dashboard.port" not in by_name(list(check_ports(settings)))


def test_the_disk_is_measured_and_nothing_stays_behind(tmp_path: Path) -> None:
    bytes_per_s, fsync_s = measure_writing(tmp_path)
    assert bytes_per_s > 0
    assert fsync_s > 0
    assert list(tmp_path.iterdir()) == []
    space, writing = check_disk(Settings(home=tmp_path / "not" / "made" / "yet"))
    assert str(tmp_path) in space.detail
    assert writing.status in ("ok", "warn")
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_fails(tmp_path: Path) -> None:
    space, _ = check_disk(Settings(home=tmp_path, agent=AgentSettings(min_free_bytes=1 << 60)))
    assert space.status == "fail"
    assert "`home`" in space.fix


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that not even root may write")
def test_a_folder_that_cannot_be_written_fails() -> None:
    _, writing = check_disk(Settings(home=Path("/proc/eucentric")))
    assert writing.status == "fail"
    assert "/proc" in writing.detail


@pytest.mark.parametrize("year", [1970, 2025, 2099])
def test_an_impossible_date_fails(year: int) -> None:
    assert check_clock(datetime(year, 1, 1, tzinfo=UTC)).status == "fail"


def test_a_plausible_date_is_in_order() -> None:
    assert check_clock(datetime(2027, 3, 1, tzinfo=UTC)).status == "ok"


@pytest.mark.parametrize(
    ("answer", "status"), [("yes", "ok"), ("no", "warn"), ("", "absent"), ("?", "absent")]
)
def test_the_time_service_is_asked(tmp_path: Path, answer: str, status: str) -> None:
    assert check_time_service(program(tmp_path, "timedatectl", answer)).status == status
    assert check_time_service(str(tmp_path / "none")).status == "absent"


def test_a_scheduler_and_a_gpu_are_seen_if_they_answer(tmp_path: Path) -> None:
    assert check_slurm(program(tmp_path, "sinfo", "gpu*\ncpu")).detail == "partitions: gpu*, cpu"
    assert check_slurm(program(tmp_path, "sinfo", "gpu", status=1)).status == "absent"
    assert check_slurm(str(tmp_path / "none")).status == "absent"
    gpu = check_gpu(program(tmp_path, "nvidia-smi", "NVIDIA H200, 143771 MiB"))
    assert (gpu.status, gpu.detail) == ("ok", "NVIDIA H200, 143771 MiB")
    assert check_gpu(program(tmp_path, "nvidia-smi", "No devices", status=9)).status == "absent"


def test_a_program_that_may_not_be_run_is_absent(tmp_path: Path) -> None:
    (tmp_path / "sinfo").write_text("no program")
    assert answer_of([str(tmp_path / "sinfo")]) is None


def test_globus_credentials_are_found_but_never_shown(tmp_path: Path) -> None:
    assert check_globus({}, tmp_path).status == "absent"
    found = check_globus({"GLOBUS_COMPUTE_CLIENT_ID": "canary-value"}, tmp_path)
    assert found.status == "ok"
    assert "canary" not in found.model_dump_json()
    (tmp_path / ".globus_compute").mkdir()
    (tmp_path / ".globus_compute" / "storage.db").touch()
    assert "storage.db" in check_globus({}, tmp_path).detail


def test_torch_is_found_without_importing_it() -> None:
    code = "import sys; import eucentric.doctor._tools as t; t.check_torch(); print('torch' in sys.modules)"
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert outcome.stdout.strip() == "False"
    assert check_torch().name == "torch"


def test_a_role_is_there_when_all_its_packages_are() -> None:
    there, missing = check_roles({"agent": ("numpy",), "edge": ("numpy", "no_such_package")})
    assert there.status == "ok"
    assert missing.detail == "missing: no_such_package"
    assert missing.fix == "pip install 'eucentric[edge]'"


def test_every_extra_of_the_distribution_is_known() -> None:
    extras = importlib.metadata.metadata("eucentric").get_all("Provides-Extra") or []
    assert set(PACKAGES_OF_ROLE) == set(extras) - {"dev"}


def test_whatever_is_wrong_has_a_fix() -> None:
    findings = examine(Settings(), environment={"PYTHONDONTWRITEBYTECODE": "1"})
    assert len({finding.name for finding in findings}) == len(findings)
    assert [finding for finding in findings if finding.status in ("warn", "fail") and not finding.fix] == []


def machine(folder: Path, control_port: int) -> Path:
    """A settings file whose ports, all but the agent's control port, are free."""
    sections: dict[str, dict[str, object]] = {
        "agent": {"min_free_bytes": 0, "control_port": control_port, "data_port": find_free_port()},
        "edge": {"control_port": find_free_port(), "data_port": find_free_port()},
        "repository": {"control_port": find_free_port(), "data_port": find_free_port()},
        "dashboard": {"port": find_free_port()},
        "hub": {"prefect_api_url": "'http://hub.example/api'", "mlflow_url": "'http://hub.example'"},
    }
    lines = [f"home = '{folder}'"]
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in section.items())]
    path = folder / "machine.toml"
    path.write_text("\n".join(lines))
    return path


def test_the_command_succeeds_where_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--config", str(machine(tmp_path, find_free_port()))]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    names = {finding["name"] for finding in report["findings"]}
    assert {"python", "clock", "disk writing", "agent.control_port"} <= names


def test_the_command_fails_where_something_fails(
    tmp_path: Path, occupied: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(machine(tmp_path, occupied))
    assert main(["doctor", "--json", "--config", config]) == 1
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["agent.control_port"]["status"] == "fail"
    assert main(["doctor", "--config", config]) == 1
    table = capsys.readouterr().out
    assert "agent.control_port" in table
    assert "eucentric doctor" in table
