"""Acquisition as flows: a real Prefect server, the flow service, and an agent with a SIMULATED microscope."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from eucentric_core import ManagedProcess, Settings, connect, load_settings
from eucentric_core.transport import find_free_port
from eucentric_flows import RunRecord, RunView, prefect_server, runs_path
from eucentric_flows._cli import run_app
from eucentric_flows.catalogue import FLOWS

from ..prefect_api import ask_prefect, create_flow_run
from ..run_process import processes_of_run
from ..servers.made_databases import with_made_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONFIG = """
home = "{home}"
[agent]
name = "twin"
control_port = {control}
data_port = {data}
min_free_bytes = 0
ship_to = "{home}/repository"
[agent.driver]
seed = 5
real_time = {real_time}
[agent.driver.specimen]
extent_m = 20e-9
[agent.driver.column]
field_of_view_m = 4e-9
[hub]
prefect_api_url = "http://127.0.0.1:{prefect}/api"
[repository]
root = "{home}/repository"
control_port = {repository}
data_port = {repository_data}
[edge]
control_port = {edge}
data_port = {edge_data}
"""
SMALL = ["plan.survey.height_px=32", "plan.survey.width_px=32", "plan.stride_px=4", "plan.patch_px=5"]


def wait_for(look: Callable[[], Any], *, timeout_s: float = 120.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


class Hub:
    """Prefect, agent and flow service, each a process."""

    def __init__(self, folder: Path, *, real_time: bool = False) -> None:
        names = ("control", "data", "prefect", "repository", "repository_data", "edge", "edge_data")
        ports = {name: find_free_port() for name in names}
        self.config = folder / "eucentric.toml"
        self.config.write_text(CONFIG.format(home=folder / "home", real_time=str(real_time).lower(), **ports))
        self.settings: Settings = load_settings(self.config, environment={})
        self.processes: dict[str, ManagedProcess] = {}

    def start_all(self) -> None:
        """Start everything and wait until it is ready."""
        (self.settings.policies_path).mkdir(parents=True)
        (self.settings.home / "repository").mkdir()
        server = prefect_server(self.settings)
        log = self.settings.logs / "prefect-server.log"
        with with_made_database(self.settings.home / "prefect" / "prefect.db"):
            prefect = ManagedProcess("prefect", server.command, log=log, environment=server.environment)
            self.processes["prefect"] = prefect
            agent = self.start("agent", "eucentric_agents", "run", ready="agent")
            self.start("repository", "eucentric_data_repository", "serve", ready="repository")
            prefect.wait_ready(server.is_healthy, timeout_s=300)
        assert agent.running
        self.start("flows", "eucentric_flows", "serve", ready="flows")

    def start(self, name: str, module: str, verb: str, *, ready: str) -> ManagedProcess:
        command = [sys.executable, "-m", module, verb, "--config", str(self.config)]
        process = ManagedProcess(name, command, log=self.settings.logs / f"{name}.out")
        self.processes[name] = process
        process.wait_ready((self.settings.home / "run" / f"{ready}.json").exists, timeout_s=300)
        return process

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.stop()

    def eucentric(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "eucentric", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def run(self, flow: str, *parameters: str) -> dict[str, Any]:
        words = [word for parameter in parameters for word in ("--param", parameter)]
        return json.loads(self.eucentric("flows", "run", flow, *words, "--json").stdout)

    def view(self, trigger_id: str) -> RunView | None:
        with RunRecord(runs_path(self.settings)) as record:
            return record.known(trigger_id)

    def beam_blanked(self) -> bool:
        agent = self.settings.agent
        with connect("127.0.0.1", agent.control_port, client="test") as scope:
            return scope.state().beam_blanked

    def lease_free(self) -> bool:
        agent = self.settings.agent
        with connect("127.0.0.1", agent.control_port, client="test") as scope:
            return scope.lease().holder is None


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.start_all()
        yield hub
    finally:
        hub.stop()


def test_prefect_holds_a_form_for_every_flow(hub: Hub) -> None:
    url = hub.settings.hub.prefect_api_url
    for name, spec in FLOWS.items():
        deployment = ask_prefect("GET", f"{url}/deployments/name/{name}/eucentric")
        schema = deployment["parameter_openapi_schema"]
        assert deployment["description"] == spec.summary
        assert set(schema["properties"]) == {"request"}
        model = schema["definitions"][spec.request.__name__]
        assert set(model["properties"]) == set(spec.request.model_fields)
        assert model.get("additionalProperties") is False
    montage = ask_prefect("GET", f"{url}/deployments/name/montage/eucentric")["parameter_openapi_schema"]
    rows = montage["definitions"]["MontagePlan"]["properties"]["rows"]
    assert (rows["type"], rows["minimum"], rows["maximum"]) == ("integer", 1, 300)
    bad = {"request": {"plan": {"rows": 0, "columns": 1}}}
    identity = ask_prefect("GET", f"{url}/deployments/name/montage/eucentric")["id"]
    refused = httpx.post(
        f"{url}/deployments/{identity}/create_flow_run", json={"parameters": bad}, timeout=60
    )
    assert refused.status_code in (409, 422)


def test_a_montage_leaves_a_mosaic_and_the_instrument_safe(hub: Hub) -> None:
    exposure = ["plan.exposure.height_px=64", "plan.exposure.width_px=64"]
    run = hub.run("montage", "plan.rows=2", "plan.columns=2", *exposure)
    assert run["state"] == "done", run
    assert (hub.settings.home / "runs" / run["trigger_id"] / "mosaic.h5").exists()
    assert hub.beam_blanked()
    assert hub.lease_free()
    trace = hub.eucentric("run", "logs", run["trigger_id"]).stdout
    assert "montage" in trace
    audit = [
        json.loads(line)
        for path in [hub.settings.home / "agent" / "audit.jsonl"]
        for line in path.read_text().splitlines()
    ]
    assert any(run["trace_id"] in json.dumps(entry) for entry in audit)


def test_a_survey_takes_spectra_where_the_surrogate_says(hub: Hub) -> None:
    run = hub.run("survey-spectroscopy", *SMALL, "plan.initial=4", "plan.budget=6")
    assert run["state"] == "done", run
    assert run["reason"].startswith("6 spectra")
    assert (hub.settings.home / "runs" / run["trigger_id"] / "survey.h5").exists()


def test_the_beam_goes_on_as_the_detector_passes_its_threshold(hub: Hub) -> None:
    run = hub.run(
        "beam-feedback",
        "plan.places=[[0.2,0.2],[0.5,0.5],[0.8,0.8]]",
        "plan.above=0.0",
        "plan.max_readings=2",
    )
    assert run["state"] == "done", run
    visits = json.loads((hub.settings.home / "runs" / run["trigger_id"] / "visits.json").read_text())
    assert [len(visit["readings"]) for visit in visits] == [1, 1, 1]
    assert all(visit["passed"] for visit in visits)


def test_features_are_visited(hub: Hub) -> None:
    exposures = [
        f"plan.{which}.{side}_px=128" for which in ("overview", "final") for side in ("height", "width")
    ]
    run = hub.run("drive-to-feature", *exposures, "features_px=[[64,64]]")
    assert run["state"] == "done", run
    # A lattice looks the same everywhere: that it was not recognised is recorded, and the flow goes on.
    assert "of 1 features reached" in run["reason"]
    (visit,) = json.loads((hub.settings.home / "runs" / run["trigger_id"] / "visits.json").read_text())
    assert visit["reached"] is (visit["error"] is None)


def test_a_checked_data_set_is_ingested_and_archived(hub: Hub, tmp_path: Path) -> None:
    run = hub.run("flight-check")
    assert run["state"] == "done", run
    dataset_id = run["reason"].split()[0]
    run = hub.run("ingest", f"dataset_id={dataset_id}")
    assert (run["state"], run["reason"]) == (
        "done",
        f"{dataset_id} is complete: 8 frames, 1 shards verified",
    )
    run = hub.run("archive", f"dataset_id={dataset_id}", f"archive={tmp_path}")
    assert (run["state"], run["reason"].split()[:2]) == ("done", ["1", "shards"]), run
    (copied,) = tmp_path.rglob("*.h5")
    assert copied.stat().st_size > 0


def test_a_data_set_that_never_comes_is_said_to_be_missing(hub: Hub) -> None:
    done = hub.eucentric(
        "flows", "run", "ingest", "-p", "dataset_id=twin/nothing", "-p", "timeout_s=1", "--json", check=False
    )
    run = json.loads(done.stdout)
    assert (done.returncode, run["state"]) == (1, "failed")
    assert run["reason"] == "twin/nothing was not complete after 1 s: 0 frames."


@pytest.fixture(scope="module")
def slow_hub(nightly: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Its frames take as long as their dwell times add up to."""
    hub = Hub(tmp_path_factory.mktemp("slow"), real_time=True)
    try:
        hub.start_all()
        yield hub
    finally:
        hub.stop()


def slow_montage(hub: Hub, trigger_id: str, *, dwell_time_s: float) -> None:
    """A montage of nine tiles under way; each takes 4,096 times the dwell time."""
    request = {
        "trigger_id": trigger_id,
        "plan": {
            "rows": 3,
            "columns": 3,
            "centre_m": [0, 0],
            "exposure": {
                "height_px": 64,
                "width_px": 64,
                "field_of_view_m": 4e-9,
                "dwell_time_s": dwell_time_s,
            },
        },
    }
    create_flow_run(hub.settings.hub.prefect_api_url, "montage", request)

    def exposing() -> bool:
        view = hub.view(trigger_id)
        assert view is None or view.state == "running", view
        return view is not None and view.doing is not None and "tile" in view.doing.message

    wait_for(exposing, timeout_s=300)


def test_cancelling_stops_the_scan_blanks_the_beam_and_releases_the_lease(slow_hub: Hub) -> None:
    slow_montage(slow_hub, "cancel-me", dwell_time_s=4e-3)
    said = CliRunner().invoke(run_app, ["cancel", "cancel-me", "--config", str(slow_hub.config)])
    assert "ended cancelled" in said.output
    assert slow_hub.beam_blanked()
    wait_for(slow_hub.lease_free)
    view = slow_hub.view("cancel-me")
    assert view is not None
    assert view.state == "cancelled"

    def shown() -> str:
        answer = ask_prefect("GET", f"{slow_hub.settings.hub.prefect_api_url}/flow_runs/{view.flow_run_id}")
        return str(answer["state_type"])

    wait_for(lambda: shown() == "CANCELLED")


def test_a_killed_flow_is_gone_on_with_and_exposes_nothing_twice(slow_hub: Hub) -> None:
    slow_montage(slow_hub, "killed", dwell_time_s=1e-3)
    view = slow_hub.view("killed")
    assert view is not None
    (process,) = processes_of_run(slow_hub.settings, view)
    process.kill()
    ended = wait_for(lambda: (found := slow_hub.view("killed")) and found.over and found, timeout_s=240)
    assert (ended.state, ended.attempt, ended.resumes) == ("done", 2, 1)
    # Beside the tiles there is a step that notes where the stage was.
    tiles = sorted((slow_hub.settings.home / "runs" / "killed" / "checkpoint").glob("[0-9]*.tile.npy"))
    assert len(tiles) == 9
    first = ask_prefect("GET", f"{slow_hub.settings.hub.prefect_api_url}/flow_runs/{view.flow_run_id}")
    assert first["state_type"] == "CRASHED"
    assert slow_hub.beam_blanked()
    picture = slow_hub.eucentric("run", "show", "killed").stdout
    assert "attempt 2" in picture
    assert "✗" in picture
