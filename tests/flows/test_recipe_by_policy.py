"""An event, Prefect, a policy that names a recipe without atoms, and a version in MLflow: all of it real."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from eucentric_core import (
    DatasetRegistered,
    EucentricError,
    ManagedProcess,
    Settings,
    TrustedKeys,
    load_settings,
)
from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_flows import RunRecord, RunView, runs_path
from eucentric_model_registry import Registry, generate_keys

from ..data_channel import data_channel
from .hub import running_mlflow
from .recipe_sessions import SESSIONS
from .recorded_session import register_arrays

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_PATIENCE_S = 600.0

POLICY_FILE = """
name = "forecast-on-data"
model = "reduction"
[trigger]
kind = "dataset"
material = "mos2"
min_frames = 100
[action]
recipe = "forecast"
frames = 192
parameters = {parameters}
"""


@pytest.fixture(scope="module")
def machine(site: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A hub with keys, a policy and registered spectra, that shares the tests' Prefect server."""
    home = tmp_path_factory.mktemp("policy")
    hub = {"prefect_api_url": site.hub.prefect_api_url, "mlflow_url": f"http://127.0.0.1:{find_free_port()}"}
    ports = {name: {"data_port": find_free_port()} for name in ("agent", "edge", "repository")}
    flags = {"home": str(home), "hub": hub, "hpc": {"executor": "processes", "workers": 1}, **ports}
    settings = load_settings(flags=flags, environment={})
    generate_keys(settings.signing_key_path, settings.trusted_keys_path)
    case = SESSIONS["forecast"]
    register_arrays(settings.repository_path, "forecast", case.acquisitions())
    parameters = ", ".join(f"{name} = {json.dumps(value)}" for name, value in case.action.parameters.items())
    settings.policies_path.mkdir()
    (settings.policies_path / "forecast.toml").write_text(
        POLICY_FILE.replace("{parameters}", f"{{ {parameters} }}")
    )
    lines = [
        f'home = "{home}"',
        *(f"[{name}]\ndata_port = {port['data_port']}" for name, port in ports.items()),
    ]
    lines += ["[hub]", *(f'{name} = "{value}"' for name, value in hub.items())]
    lines += ["[hpc]", 'executor = "processes"', "workers = 1"]
    (home / "eucentric.toml").write_text("\n".join(lines))
    return settings


@pytest.fixture(scope="module")
def repository(machine: Settings) -> Iterator[StreamPublisher]:
    """The data channel of a repository."""
    place = machine.repository
    with (
        zmq.Context() as context,
        data_channel(context, place.data_port, "repository", host=place.host) as publisher,
    ):
        yield publisher


@pytest.fixture(scope="module")
def service(machine: Settings, prefect: str, repository: StreamPublisher) -> Iterator[ManagedProcess]:
    config = str(machine.home / "eucentric.toml")
    command = [sys.executable, "-m", "eucentric_flows", "serve", "--config", config]
    with running_mlflow(machine):
        process = ManagedProcess("flows", command, log=machine.logs / "flows.log")
        try:
            process.wait_ready((machine.home / "run" / "flows.json").exists, timeout_s=300)
            yield process
        finally:
            process.stop()


def ended_run(machine: Settings, repository: StreamPublisher, event: DatasetRegistered) -> RunView:
    """Publish until the service, which may still be subscribing, has heard; wait until the run has ended."""
    deadline = time.monotonic() + _PATIENCE_S
    with RunRecord(runs_path(machine)) as record:
        while time.monotonic() < deadline:
            try:
                run = record.run(event.id)
            except EucentricError:
                repository.publish_event(event)
            else:
                if run.state != "running":
                    return run
            time.sleep(0.5)
    raise AssertionError((machine.logs / "flows.log").read_text()[-2000:])


def test_a_policy_trains_a_forecaster_from_a_registered_data_set(
    machine: Settings, service: ManagedProcess, repository: StreamPublisher, tmp_path: Path
) -> None:
    event = DatasetRegistered(
        source="repository-1", dataset_id="microscope-1.forecast", frames=192, missing=0, material="mos2"
    )
    run = ended_run(machine, repository, event)
    assert (run.state, run.version, run.triggered_by) == ("promoted", 1, "policy"), run.reason
    registry = Registry(machine.hub.mlflow_url, TrustedKeys.read(machine.trusted_keys_path))
    assert [version.version for version in registry.versions("reduction")] == [1]
    manifest = registry.download("reduction", 1, tmp_path / "bundle")
    assert (manifest.engine, manifest.lineage.trigger_id) == ("spectra", event.id)
    assert manifest.lineage.policy == "forecast-on-data"
    assert manifest.metrics["recent_rmse_ratio_vs_persistence"] < 1
