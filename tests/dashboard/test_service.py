"""The dashboard as the process that an operator starts and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from eucentric.certs import Authority
from eucentric_core import ManagedProcess, Role, load_settings
from eucentric_dashboard._cli import app as cli
from eucentric_dashboard.login import People

from .stand_in import Site

COMMAND = [sys.executable, "-m", "eucentric_dashboard", "serve"]


def config_of(site: Site, home: Path) -> Path:
    settings = site.settings
    path = home / "eucentric.toml"
    path.write_text(
        f'home = "{home}"\n'
        f"[agent]\ncontrol_port = {settings.agent.control_port}\ndata_port = {settings.agent.data_port}\n"
        f"[edge]\ncontrol_port = {settings.edge.control_port}\ndata_port = {settings.edge.data_port}\n"
        f'[dashboard]\nport = {settings.dashboard.port}\nlogin = "none"\n'
    )
    return path


def get(url: str, **headers: str) -> tuple[int, bytes]:
    answer = httpx.get(url, headers=headers, timeout=10)
    return answer.status_code, answer.content


def health_of(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(f"{url}health")[1])
    return found


def test_it_serves_from_loopback_tells_its_health_and_stops_when_asked(site: Site, tmp_path: Path) -> None:
    site.start_agent()
    process = ManagedProcess(
        "dashboard", [*COMMAND, "--config", str(config_of(site, tmp_path))], log=tmp_path / "dashboard.log"
    )
    ready = tmp_path / "run" / "dashboard.json"
    try:
        process.wait_ready(ready.exists, timeout_s=60)
        url = json.loads(ready.read_text())["url"]
        assert url == f"http://127.0.0.1:{site.settings.dashboard.port}/"
        process.wait_ready(lambda: health_of(url)["agent_online"], timeout_s=20)
        assert health_of(url)["edge_online"] is False
        assert get(url)[0] == 200
        assert get(f"{url}live/image/1.jpg")[0] == 404
        assert get(url, Host="evil.example")[0] == 400, "another name for loopback must not open the page"
        os.kill(process.pid, signal.SIGTERM)
        process.wait_finished(timeout_s=20)
    finally:
        process.stop()
    assert not ready.exists()


def test_with_a_certificate_it_speaks_tls_alone_and_keeps_its_cookie_there(
    site: Site, tmp_path: Path
) -> None:
    authority = Authority.create(tmp_path / "authority", name="test", days=1)
    issued = authority.issue("hub", hosts=["127.0.0.1"], days=1).folder
    config = config_of(site, tmp_path)
    own = f'certificate = "{issued / "certificate.pem"}"\nkey = "{issued / "key.pem"}"\n'
    config.write_text(config.read_text().replace('login = "none"\n', own))
    people = People.of(load_settings(config, environment={}))
    people.accounts.add("ada", Role.VIEWER, "a long enough password")
    people.close()
    process = ManagedProcess("dashboard", [*COMMAND, "--config", str(config)], log=tmp_path / "dashboard.log")
    ready = tmp_path / "run" / "dashboard.json"
    try:
        process.wait_ready(ready.exists, timeout_s=120)
        url = json.loads(ready.read_text())["url"]
        trusted = ssl.create_default_context(cafile=issued / "authority.pem")
        with httpx.Client(base_url=url, verify=trusted, timeout=60) as browser:
            form = {"name": "ada", "password": "a long enough password"}
            answer = browser.post("/login", data=form, headers={"Origin": url.rstrip("/")})
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-eucentric-")
            assert "secure" in cookie.lower()
            assert answer.headers["strict-transport-security"]
            assert browser.get("/", headers={"Accept": "text/html"}).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https", "http"), timeout=60)
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "without keys"),  # noqa: S104  # that it is refused is the point
        (["--config", "missing.toml"], "does not exist"),
        (["--port", "70000"], "dashboard.port"),
    ],
)
def test_what_it_cannot_do_is_one_clear_sentence(flags: list[str], words: str) -> None:
    outcome = CliRunner().invoke(cli, ["serve", *flags])

    assert outcome.exit_code == 2
    assert words in outcome.stderr
    assert [line.split(":")[0].strip() for line in outcome.stderr.splitlines()] == ["error", "safe", "next"]


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = CliRunner().invoke(
            cli, ["serve", "--port", str(port)], env={"EUCENTRIC__HOME": str(tmp_path)}
        )

    assert outcome.exit_code == 2
    assert f"Port {port} on 127.0.0.1, wanted for the dashboard, is in use." in outcome.stderr
    assert list(tmp_path.iterdir()) == []
