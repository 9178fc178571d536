"""Shared by the faults of the loop: beginning a run, killing what serves it, what must hold at its end."""

from __future__ import annotations

import time
from contextlib import suppress

import httpx
import psutil

from eucentric_core import TrustedKeys
from eucentric_flows import RunView
from eucentric_model_registry import Registry

from ...loop_site import LoopSite
from ...prefect_api import ask_prefect
from ...run_process import processes_of_run

__all__ = [
    "ENDINGS",
    "STAGES",
    "assert_ended_well",
    "at_stage",
    "begin",
    "kill",
    "processes_of",
]

STAGES = ("gather", "train", "judge", "sign", "register", "promote", "install")
ENDINGS = ("promoted", "rejected", "failed", "held")
SERVERS = ("prefect", "mlflow", "flows", "edge", "agent")


def at_stage(site: LoopSite, stage: str) -> str:
    """Begin a run and wait until it is there; returns its trigger id."""
    trigger_id = begin(site)
    site.wait(trigger_id, lambda view: view.over or any(one.name == stage for one in view.stages))
    return trigger_id


def begin(site: LoopSite) -> str:
    """An event that arrives at a service which may have been started a moment ago."""
    site.wait_heard()
    deadline = time.monotonic() + 600
    trigger_id = site.begin()
    while site.view(trigger_id) is None:
        assert time.monotonic() < deadline, "no run began"
        time.sleep(0.1)
    return trigger_id


def kill(site: LoopSite, victim: str, trigger_id: str) -> None:
    if victim in SERVERS:
        site.kill(victim)
        end_left_behind(site, victim)
        site.start(victim)
        return
    for process in processes_of(site, trigger_id):
        children = process.children(recursive=True)
        for one in [process] if victim == "run" else children:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def end_left_behind(site: LoopSite, victim: str) -> None:
    """What holds the port of a killed server: systemd ends the whole group before it starts it again."""
    if victim not in site.ports:
        return
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == site.ports[victim]
                for connection in process.net_connections(kind="inet")
            ):
                process.kill()
                process.wait(10)


def processes_of(site: LoopSite, trigger_id: str) -> list[psutil.Process]:
    """The process that carries a run out."""
    run = site.view(trigger_id)
    assert run is not None
    return processes_of_run(site.settings, run)


def assert_ended_well(site: LoopSite, trigger_id: str, *, timeout_s: float = 400.0) -> RunView:
    """The run ends, loudly where it fails; one version at most comes of it, and Prefect agrees."""
    run = site.wait(trigger_id, lambda view: view.over, timeout_s=timeout_s)
    assert run.state in ENDINGS
    if run.state in ("failed", "held"):
        assert run.reason
    assert_one_version(site, run)
    assert_prefect_agrees(site, run)
    return run


def assert_one_version(site: LoopSite, run: RunView) -> None:
    registry = Registry(
        site.settings.hub.mlflow_url, TrustedKeys.read(site.settings.trusted_keys_path), timeout_s=30
    )
    ours = [one for one in registry.versions("atoms") if one.lineage.trigger_id == run.trigger_id]
    assert len(ours) == (1 if run.state in ("promoted", "rejected") else len(ours[:1]))


def assert_prefect_agrees(site: LoopSite, run: RunView) -> None:
    """Sooner or later no flow run of the run is shown as under way."""
    deadline = time.monotonic() + 300
    url = f"{site.settings.hub.prefect_api_url}/flow_runs/{run.flow_run_id}"
    while True:
        with suppress(httpx.HTTPError):
            state = ask_prefect("GET", url)["state_type"]
            if state in ("COMPLETED", "FAILED", "CANCELLED"):
                assert (state == "FAILED") == (run.state == "failed")
                return
        assert time.monotonic() < deadline, "Prefect still believes that it runs"
        time.sleep(0.5)
