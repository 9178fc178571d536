"""A site's own settings file, with free ports, in a folder that PostgreSQL's account can reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucentric_core.transport import find_free_port

WriteSite = Callable[..., Path]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which another user cannot reach."""
    made = Path(tempfile.mkdtemp(prefix="eucentric-hub-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def write_site(folder: Path) -> WriteSite:
    """Writes `site.toml` with free ports; further lines of `[hub.server]` and further sections are given."""

    def write(server: str = "", more: str = "", hub: str = "", repository: str = "") -> Path:
        ports = [find_free_port() for _ in range(15)]
        path = folder / "site.toml"
        path.write_text(
            f"""home = "{folder / "home"}"
[agent]
control_port = {ports[0]}
data_port = {ports[1]}
[edge]
control_port = {ports[2]}
data_port = {ports[3]}
[repository]
control_port = {ports[4]}
data_port = {ports[5]}
{repository}
[dashboard]
port = {ports[6]}
[hub]
prefect_api_url = "http://127.0.0.1:{ports[7]}/api"
mlflow_url = "http://127.0.0.1:{ports[8]}"
{hub}
[hub.server]
postgres_port = {ports[9]}
dashboard_port = {ports[10]}
prefect_port = {ports[11]}
mlflow_port = {ports[12]}
min_free_bytes = 0
{server}
{more}
"""
        )
        return path

    return write
