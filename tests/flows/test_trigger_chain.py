"""From an event on a data channel to the body of a flow: service, server and record as they run on a hub."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from typer.testing import CliRunner

from eucentric_core import DatasetRegistered, EucentricError, ManagedProcess, Settings
from eucentric_core.transport import StreamPublisher
from eucentric_flows import RunRecord, RunView, runs_path
from eucentric_flows._cli import app, policy_app, run_app
from eucentric_flows.engine import DecisionView, History, PolicyStore, policies_file

from ..data_channel import data_channel
from ..prefect_api import ask_prefect, create_flow_run
from .conftest import drift_event

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POLICY_FILE = """
name = "on-drift"
model = "atoms"
[trigger]
kind = "drift"
min_score = 1.5
[guards]
cooldown_s = 0
"""

PLAIN_POLICY_FILE = """
name = "on-data"
model = "others"
[trigger]
kind = "dataset"
material = "mos2"
"""


def wait_for(look: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def config(site: Settings) -> Path:
    lines = [f'home = "{site.home}"']
    for section in ("agent", "edge", "repository"):
        channel = getattr(site, section)
        ports = f"control_port = {channel.control_port}\ndata_port = {channel.data_port}"
        lines.append(f"[{section}]\n{ports}")
    hub = site.hub
    lines.append(f'[hub]\nprefect_api_url = "{hub.prefect_api_url}"\nmlflow_url = "{hub.mlflow_url}"')
    path = site.home / "eucentric.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def edge(site: Settings) -> Iterator[StreamPublisher]:
    """The data channel of an edge."""
    with (
        zmq.Context() as context,
        data_channel(context, site.edge.data_port, "edge", host=site.edge.host) as publisher,
    ):
        yield publisher


@pytest.fixture(scope="module")
def repository(site: Settings) -> Iterator[StreamPublisher]:
    """The data channel of a repository."""
    place = site.repository
    with (
        zmq.Context() as context,
        data_channel(context, place.data_port, "repository", host=place.host) as publisher,
    ):
        yield publisher


@pytest.fixture(scope="module")
def service(site: Settings, config: Path, prefect: str, edge: StreamPublisher) -> Iterator[ManagedProcess]:
    (site.policies_path / "on-drift.toml").write_text(POLICY_FILE)
    (site.policies_path / "on-data.toml").write_text(PLAIN_POLICY_FILE)
    command = [sys.executable, "-m", "eucentric_flows", "serve", "--config", str(config)]
    process = ManagedProcess("flows", command, log=site.logs / "flows.log")
    try:
        process.wait_ready((site.home / "run" / "flows.json").exists, timeout_s=300)
        yield process
    finally:
        process.stop()


def recorded(site: Settings, trigger_id: str) -> RunView | None:
    with RunRecord(runs_path(site)) as record:
        try:
            run = record.run(trigger_id)
        except EucentricError:
            return None
    return None if run.state == "running" else run


def publish_until_heard(site: Settings, edge: StreamPublisher, **changes: object) -> RunView:
    """Publish an event until the service, which may still be subscribing, has dealt with it."""
    event = drift_event(**changes)

    def ask() -> RunView | None:
        edge.publish_event(event)
        time.sleep(0.5)
        return recorded(site, event.id)

    found: RunView = wait_for(ask)
    return found


def decision(site: Settings, event_id: str) -> DecisionView | None:
    with PolicyStore(policies_file(site)) as store:
        found = History(store).newest(occurrence=event_id)
    return found[0] if found else None


def test_an_event_below_the_bound_is_not_met_and_no_flow_is_run_for_it(
    site: Settings, service: ManagedProcess, edge: StreamPublisher, prefect: str
) -> None:
    event = drift_event(drift_score=1.2)

    def decided() -> DecisionView | None:
        edge.publish_event(event)
        time.sleep(0.5)
        return decision(site, event.id)

    found: DecisionView = wait_for(decided)
    assert (found.status, found.reason) == ("not_met", "drift score 1.2 is below 1.5")
    assert (found.policy, found.trigger_id) == ("on-drift", None)
    assert recorded(site, event.id) is None
    runs = ask_prefect("POST", f"{prefect}/flow_runs/filter", {})
    assert event.id not in {run["name"] for run in runs}


def test_a_person_who_claims_to_be_a_policy_is_recorded_as_a_person(
    site: Settings, service: ManagedProcess, prefect: str
) -> None:
    event = drift_event(drift_score=1.1)
    request = {
        "trigger_id": event.id,
        "policy": "on-drift",
        "model": "atoms",
        "event": event.model_dump(mode="json"),
    }
    create_flow_run(prefect, "retrain", request)
    run = wait_for(lambda: recorded(site, event.id))
    assert run.triggered_by == "manual"


def test_a_run_that_cannot_go_on_fails_loudly_and_says_where(
    site: Settings, service: ManagedProcess, edge: StreamPublisher, prefect: str, config: Path
) -> None:
    run = publish_until_heard(site, edge, drift_score=3.0)
    assert run.state == "failed"
    assert "keys" in run.reason
    # Our own books say that the policy fired.
    assert (run.triggered_by, run.policy) == ("policy", "on-drift")
    fired = decision(site, run.trigger_id)
    assert fired is not None
    assert (fired.status, fired.trigger_id) == ("fired", run.trigger_id)
    flow_run = wait_for(lambda: _ended(ask_prefect("GET", f"{prefect}/flow_runs/{run.flow_run_id}")))
    assert flow_run["state_name"] == "Failed"

    shown = CliRunner().invoke(run_app, ["show", run.trigger_id, "--config", str(config), "--json"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["reason"] == run.reason
    listed = CliRunner().invoke(run_app, ["ls", "--config", str(config), "--json"])
    assert run.trigger_id in {entry["trigger_id"] for entry in json.loads(listed.stdout)}


def test_a_plain_match_is_decided_by_prefect_and_written_into_the_same_books(
    site: Settings, service: ManagedProcess, repository: StreamPublisher, prefect: str
) -> None:
    event = DatasetRegistered(
        source="repository-1", dataset_id="microscope-1.s1", frames=3, missing=0, material="mos2"
    )

    def ask() -> RunView | None:
        repository.publish_event(event)
        time.sleep(0.5)
        return recorded(site, event.id)

    run: RunView = wait_for(ask)
    flow_run = ask_prefect("GET", f"{prefect}/flow_runs/{run.flow_run_id}")
    assert flow_run["created_by"]["display_value"] == "eucentric policy on-data"
    assert (run.triggered_by, run.policy) == ("policy", "on-data")
    found = decision(site, event.id)
    assert found is not None
    assert (found.policy, found.status, found.trigger_id) == ("on-data", "fired", event.id)


def _ended(flow_run: dict[str, Any]) -> dict[str, Any] | None:
    return flow_run if flow_run["end_time"] else None


def test_the_service_stops_cleanly(site: Settings, service: ManagedProcess, config: Path) -> None:
    running = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert running.exit_code == 0
    assert json.loads(running.stdout)["events"]["delivered"] > 0
    service.stop(grace_s=10)
    stopped = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert (stopped.exit_code, json.loads(stopped.stdout)["running"]) == (1, False)
    assert not (site.home / "run" / "flows.json").exists()
    last = json.loads((site.logs / "flows.jsonl").read_text().splitlines()[-1])
    assert last["message"] == "stopped"


def test_without_prefect_the_service_says_so_and_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path}"\n[hub]\nprefect_api_url = "http://127.0.0.1:9/api"\n')
    outcome = subprocess.run(
        [sys.executable, "-m", "eucentric_flows", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines()[-3] == "error: No Prefect server answers at http://127.0.0.1:9/api."
    assert not (tmp_path / "run" / "flows.json").exists()


def test_policies_can_be_checked_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY_FILE)
    checked = CliRunner().invoke(policy_app, ["check", str(path)])
    assert (checked.exit_code, checked.stdout) == (0, f"{path}: policy on-drift is valid.\n")
    explained = CliRunner().invoke(policy_app, ["explain", str(path)])
    assert explained.stdout.startswith("When the edge reports drift of model atoms of score 1.5 or more")
    path.write_text("name = 3")
    refused = CliRunner().invoke(policy_app, ["check", str(path)])
    assert refused.exit_code == 2
    assert f"{path}, line 1, column 8, name: input should be a valid string" in refused.stderr
