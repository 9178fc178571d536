"""What the tests of the flows start from: one Prefect server for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from eucentric_core import DriftDetected, ManagedProcess, Settings, load_settings
from eucentric_core.transport import find_free_port
from eucentric_flows import prefect_server
from eucentric_flows.policy import Policy

from ..hpc.third_party_package import (  # noqa: F401 - fixtures
    someone_elses_package,
    someone_elses_site,
)
from ..servers.made_databases import with_made_database


def drift_event(**changes: object) -> DriftDetected:
    facts: dict[str, object] = {
        "source": "edge-1",
        "instrument": "microscope-1",
        "session": "s1",
        "first_sequence": 4,
        "sequence": 12,
        "drift_score": 4.0,
        "quality_score": 0.4,
        "model_name": "atoms",
        "model_version": 1,
        "material": "mos2",
    }
    return DriftDetected.model_validate({**facts, **changes})


def drift_policy(**changes: object) -> Policy:
    facts: dict[str, object] = {
        "name": "on-drift",
        "model": "atoms",
        "trigger": {"kind": "drift", "min_score": 1.5},
    }
    return Policy.model_validate({**facts, **changes})


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a machine whose ports are all free."""
    home = tmp_path_factory.mktemp("home")
    (home / "policies").mkdir()
    channels = ("agent", "edge", "repository")
    ports = {name: {"control_port": find_free_port(), "data_port": find_free_port()} for name in channels}
    hub = {
        "prefect_api_url": f"http://127.0.0.1:{find_free_port()}/api",
        "mlflow_url": f"http://127.0.0.1:{find_free_port()}",
    }
    hpc = {"executor": "processes", "workers": 2}
    return load_settings(flags={"home": str(home), "hub": hub, "hpc": hpc, **ports}, environment={})


@pytest.fixture(scope="package")
def prefect(site: Settings) -> Iterator[str]:
    """API address of a running Prefect server; clients in this process talk to it."""
    server = prefect_server(site)
    log = Path(site.logs) / "prefect.log"
    process = None
    try:
        with with_made_database(site.home / "prefect" / "prefect.db"):
            process = ManagedProcess(server.name, server.command, log=log, environment=server.environment)
            process.wait_ready(server.is_healthy, timeout_s=300)
        with temporary_settings({PREFECT_API_URL: site.hub.prefect_api_url}):
            yield site.hub.prefect_api_url
    finally:
        if process is not None:
            process.stop()
