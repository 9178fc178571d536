"""The compose file starts what a hub has, by the entry that everything uses, with nothing secret in it."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml  # type: ignore[import-untyped]

from eucentric.hub._needs import NEEDS
from eucentric.hub._services import SERVICES
from eucentric_core import HubServerSettings, HubService


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    path = Path(__file__).resolve().parents[2] / "infra/compose.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def test_every_list_of_services_is_the_same(compose: dict[str, Any]) -> None:
    names = list(get_args(HubService))
    assert list(NEEDS) == names == list(HubServerSettings().services)
    assert set(SERVICES) == set(names)
    assert set(compose["services"]) == {*names, "init", "net"}


@pytest.mark.parametrize("name", get_args(HubService))
def test_a_service_is_started_as_everywhere_and_closed(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["command"] == ["hub", "run", name, "--config", "/var/lib/eucentric/hub/eucentric.toml"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert "environment" not in service
    assert set(service["depends_on"]) == {"net", *NEEDS[name]}
    assert service["network_mode"] == "service:net"
    # One process namespace for all would end with `net`, whichever is stopped first.
    assert "pid" not in service
    assert "ports" not in service


def test_the_proxys_ports_alone_are_reached_from_outside(compose: dict[str, Any]) -> None:
    settings = HubServerSettings()
    ports = (settings.dashboard_port, settings.prefect_port, settings.mlflow_port)
    holder = compose["services"]["net"]
    assert holder["ports"] == [f"{port}:{port}" for port in ports]
    # It holds what the others share: nothing in it may ever have a reason to end.
    assert holder["entrypoint"] == ["sleep", "infinity"]


def test_the_image_installs_extras_that_there_are(repository: Path) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (repository / "infra/Dockerfile").read_text()
    named = text.partition(".[")[2].partition("]")[0].split(",")
    assert named
    assert [extra for extra in named if extra not in extras] == []
    assert "postgresql" in text
    assert "nginx-light" in text


def test_docker_takes_the_file(repository: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60).returncode != 0:
        pytest.skip("docker has no compose here")
    command = ["docker", "compose", "-f", str(repository / "infra/compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
