"""The flows about models, run as flows: a real Prefect server, MLflow, edge and workers; SIMULATED frames.

They lie beside the faults of the loop because they share its site: a second one would cost a minute.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from eucentric_core import AnyEvent, TrustedKeys
from eucentric_core.transport import PyroControlClient
from eucentric_flows import EventOutbox, RunView, outbox_path
from eucentric_flows._cli import run_app
from eucentric_model_registry import Registry

from ...loop_site import LoopSite
from ...prefect_api import ask_prefect, create_flow_run
from .scene import begin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Flows:
    """Runs flows as Prefect's page does: by their deployments."""

    site: LoopSite

    def run(self, flow: str, **request: Any) -> RunView:
        """Run a flow and wait until its run has ended."""
        identity = create_flow_run(self.site.settings.hub.prefect_api_url, flow, request)
        return self.site.wait(identity.replace("-", ""), lambda view: view.over)

    @property
    def champion(self) -> int | None:
        """Version of the champion."""
        settings = self.site.settings
        registry = Registry(settings.hub.mlflow_url, TrustedKeys.read(settings.trusted_keys_path))
        found = registry.champion("atoms")
        return None if found is None else found.version

    @property
    def served(self) -> int:
        """Version that the edge serves."""
        client = PyroControlClient("127.0.0.1", self.site.settings.edge.control_port, timeout_s=30)
        try:
            return int(str(client.call("status", {})["model_version"]))
        finally:
            client.close()

    def events(self, kind: str) -> list[AnyEvent]:
        """Events of a kind that the service has taken, oldest first."""
        return [event for event in self._events() if event.kind == kind]

    def kinds_of(self, trace_id: str) -> set[str]:
        """Kinds of events of a trace: the one that began it gave its id to it, those after carry it."""
        return {event.kind for event in self._events() if trace_id in (event.id, event.trace_id)}

    def _events(self) -> list[AnyEvent]:
        outbox = EventOutbox(outbox_path(self.site.settings))
        try:
            return [event for _, event in outbox.after(0, limit=10_000)]
        finally:
            outbox.close()


@pytest.fixture(scope="module")
def flows(site: LoopSite) -> Flows:
    return Flows(site)


@pytest.fixture(scope="module")
def retrained(site: LoopSite) -> RunView:
    """A run that a policy began and that the edge has answered with."""
    trigger_id = begin(site)
    run = site.wait(trigger_id, lambda view: view.over)
    assert run.state == "promoted", run.reason
    return site.wait(trigger_id, lambda view: view.first_answer_utc is not None)


@pytest.fixture(scope="module")
def version(retrained: RunView) -> int:
    """A registered version that is not the first."""
    assert retrained.version is not None
    return retrained.version


def test_one_trace_runs_from_the_trigger_to_the_swap(flows: Flows, retrained: RunView) -> None:
    assert retrained.triggered_by == "policy"
    trace_id = retrained.trace_id
    kinds = {"drift.detected", "model.promoted", "model.installed", "model.answered", "run.ended"}
    deadline_s = time.monotonic() + 60
    # The end of a run is told a moment after it.
    while (missing := kinds - flows.kinds_of(trace_id)) and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert not missing
    for service in ("retrain", "edge"):
        lines = (flows.site.settings.logs / f"{service}.jsonl").read_text().splitlines()
        assert any(json.loads(line).get("trace_id") == trace_id for line in lines), service
    shown = CliRunner().invoke(run_app, ["show", trace_id[:8], "--config", str(flows.site.config)])
    assert shown.exit_code == 0, shown.output
    for word in ("trigger", "gather", "train", "judge", "register", "install", "first answer"):
        assert word in shown.output
    assert f"trace {trace_id}" in shown.output


def test_a_version_is_scored_on_recorded_frames(flows: Flows, version: int) -> None:
    run = flows.run("evaluate", model="atoms", version=version, session="drifted", frames=16)
    assert (run.state, run.version) == ("done", version), run.reason
    score = json.loads((flows.site.settings.home / "runs" / run.trigger_id / "score.json").read_text())
    assert 0 <= score["f1"] <= 1
    assert f"F1 {score['f1']:.3f}" in run.reason
    (told,) = [one for one in flows.events("model.evaluated") if one.trace_id == run.trace_id]
    assert (told.model_dump()["model_version"], told.model_dump()["metric"]) == (version, "f1")


def test_frames_that_nobody_recorded_fail_loudly(flows: Flows, version: int) -> None:
    run = flows.run("evaluate", model="atoms", dataset_id="microscope-1/nothing")
    assert run.state == "held"
    assert "microscope-1/nothing is not in the catalogue" in run.reason


def test_a_version_is_published_and_taken_back(flows: Flows, version: int) -> None:
    flows.run("publish", model="atoms", version=1, reason="to begin with")
    assert (flows.champion, flows.served) == (1, 1)
    run = flows.run("publish", model="atoms", version=version, reason="looks better")
    assert (run.state, run.version) == ("promoted", version), run.reason
    assert (flows.champion, flows.served) == (version, version)
    run = flows.run("rollback", model="atoms", reason="was not better")
    assert (run.state, run.version) == ("promoted", 1), run.reason
    assert (flows.champion, flows.served) == (1, 1)


def test_the_same_trigger_is_carried_out_once(flows: Flows, version: int) -> None:
    flows.run("publish", model="atoms", version=version, reason="looks better")
    first = flows.run("rollback", model="atoms", reason="once")
    url = flows.site.settings.hub.prefect_api_url
    request = {"model": "atoms", "reason": "once", "trigger_id": first.trigger_id}
    identity = create_flow_run(url, "rollback", request)
    flows.site.wait_prefect(identity, "COMPLETED")
    assert ask_prefect("GET", f"{url}/flow_runs/{identity}")["state"]["name"] == "Finished"
    assert flows.champion == first.version


def test_the_edge_is_handed_what_was_released_and_nothing_else(flows: Flows, version: int) -> None:
    flows.run("publish", model="atoms", version=version, reason="looks better")
    run = flows.run("install", model="atoms")
    assert (run.state, run.reason) == ("done", f"the edge serves version {version} of atoms")
    # Another one was not released: the edge keeps what it has, and the run says so.
    run = flows.run("install", model="atoms", version=1)
    assert run.state == "failed"
    assert run.reason == f"The edge serves version {version}, not version 1."
    assert flows.served == version


@pytest.mark.parametrize("believed", ["RUNNING", "CRASHED", "CANCELLING"])
def test_what_prefect_wrongly_believes_is_put_right(flows: Flows, believed: str) -> None:
    run = flows.run("publish", model="atoms", version=1, reason="again")
    url = f"{flows.site.settings.hub.prefect_api_url}/flow_runs/{run.flow_run_id}"
    flows.site.wait_prefect(str(run.flow_run_id), "COMPLETED")
    state = {"state": {"type": believed, "message": "a signal that came late"}, "force": True}
    ask_prefect("POST", f"{url}/set_state", state)
    flows.site.wait_prefect(str(run.flow_run_id), "COMPLETED")
    again = flows.site.view(run.trigger_id)
    assert again is not None
    assert (again.state, again.attempt) == (run.state, 1)
