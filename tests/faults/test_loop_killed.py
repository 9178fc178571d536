"""kill -9 of each service at each stage of the loop: it finishes or stops loudly, with one model per trigger.

Every case retrains a tiny model from SIMULATED frames, with real Prefect, MLflow, workers and edge. What was
killed is started again a moment later, as systemd would. A usual run kills at two places, `--nightly` at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from eucentric_core import TrustedKeys
from eucentric_flows import RunView
from eucentric_model_registry import Registry

from ..loop_site import LoopSite, loop_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGES = ("gather", "train", "judge", "sign", "register", "promote", "install")
VICTIMS = ("prefect", "mlflow", "flows", "edge", "run", "workers")
USUAL = (("run", "train"), ("flows", "register"))
ENDINGS = ("promoted", "rejected", "failed", "held")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "victim" in metafunc.fixturenames:
        nightly = metafunc.config.getoption("--nightly")
        every = [(victim, stage) for victim in VICTIMS for stage in STAGES]
        metafunc.parametrize(("victim", "stage"), every if nightly else USUAL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSite]:
    with loop_site(tmp_path_factory.mktemp("loop")) as opened:
        yield opened


def test_a_killed_service_costs_no_model_and_leaves_no_run_running(
    site: LoopSite, victim: str, stage: str
) -> None:
    trigger_id = begin(site)
    site.wait(trigger_id, lambda view: view.over or any(one.name == stage for one in view.stages))
    kill(site, victim, trigger_id)
    run = site.wait(trigger_id, lambda view: view.over, timeout_s=400)
    assert run.state in ENDINGS
    if run.state in ("failed", "held"):
        assert run.reason
    assert_one_version(site, run)
    assert_prefect_agrees(site, run)


def begin(site: LoopSite) -> str:
    """An event that arrives at a service which may have been started a moment ago."""
    site.wait_heard()
    deadline = time.monotonic() + 120
    trigger_id = site.begin()
    while site.view(trigger_id) is None:
        assert time.monotonic() < deadline, "no run began"
        time.sleep(0.1)
    return trigger_id


def kill(site: LoopSite, victim: str, trigger_id: str) -> None:
    if victim in ("prefect", "mlflow", "flows", "edge"):
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
    """The process that carries a run out: the one that writes the log of its flow run."""
    run = site.view(trigger_id)
    assert run is not None
    wanted = str(site.settings.logs / "runs" / f"{run.flow_run_id}.log")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid == process_group(process) and f"/{Path(wanted).name}" in output_of(process):
                found.append(process)
    return found


def process_group(process: psutil.Process) -> int:
    import os

    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return -1


def output_of(process: psutil.Process) -> str:
    try:
        return str(Path(f"/proc/{process.pid}/fd/2").readlink())
    except OSError:
        return ""


def assert_one_version(site: LoopSite, run: RunView) -> None:
    registry = Registry(
        site.settings.hub.mlflow_url, TrustedKeys.read(site.settings.trusted_keys_path), timeout_s=30
    )
    ours = [one for one in registry.versions("atoms") if one.lineage.trigger_id == run.trigger_id]
    assert len(ours) == (1 if run.state in ("promoted", "rejected") else len(ours[:1]))


def assert_prefect_agrees(site: LoopSite, run: RunView) -> None:
    """Sooner or later no flow run of the run is shown as under way."""
    deadline = time.monotonic() + 90
    url = f"{site.settings.hub.prefect_api_url}/flow_runs/{run.flow_run_id}"
    while True:
        with suppress(httpx.HTTPError):
            state = httpx.get(url).json()["state_type"]
            if state in ("COMPLETED", "FAILED", "CANCELLED"):
                assert (state == "FAILED") == (run.state == "failed")
                return
        assert time.monotonic() < deadline, "Prefect still believes that it runs"
        time.sleep(0.5)
