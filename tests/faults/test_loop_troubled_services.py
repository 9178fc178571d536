"""500, 429, a refused token, slowness and a hang of MLflow and Prefect in the middle of the loop.

Relays stand before both real servers. The trouble lasts for some seconds, then the service is well again:
the loop finishes. Only with `--nightly`: it takes minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ..loop_site import LoopSite, loop_site
from ..servers.http_relay import Answer, Relay
from .test_loop_killed import ENDINGS, assert_one_version, assert_prefect_agrees, begin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TROUBLES = ("500", "429", "401", "slow", "hang", "gone")
SERVICES = ("mlflow", "prefect")
STAGES = ("train", "register")
LASTS_S = 8.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "trouble" in metafunc.fixturenames:
        every = [
            (service, trouble, stage) for service in SERVICES for trouble in TROUBLES for stage in STAGES
        ]
        metafunc.parametrize(("service", "trouble", "stage"), every)


@pytest.fixture(scope="module", autouse=True)
def _nightly(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--nightly"):
        pytest.skip("takes minutes: run with --nightly")


@pytest.fixture(scope="module")
def site(_nightly: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSite]:
    with loop_site(tmp_path_factory.mktemp("troubled"), relayed=True) as opened:
        yield opened


def make(trouble: str, relay: Relay) -> None:
    if trouble == "gone":
        relay.gone = True
    elif trouble == "slow":
        relay.pause_s = 1.0
    elif trouble == "hang":
        relay.pause_s = LASTS_S
    else:
        relay.answer = lambda _method, _path: Answer(int(trouble), b'{"error_code": "TROUBLE"}')


def test_a_troubled_service_costs_no_model_and_leaves_no_run_running(
    site: LoopSite, service: str, trouble: str, stage: str
) -> None:
    relay = site.relays[service]
    trigger_id = begin(site)
    site.wait(trigger_id, lambda view: view.over or any(one.name == stage for one in view.stages))
    make(trouble, relay)
    healing = threading.Timer(LASTS_S, relay.well)
    healing.start()
    try:
        run = site.wait(trigger_id, lambda view: view.over, timeout_s=400)
    finally:
        healing.join()
    assert run.state in ENDINGS
    if trouble != "401":
        assert run.state in ("promoted", "rejected"), run.reason
    elif run.state == "failed":
        assert run.reason
    assert_one_version(site, run)
    assert_prefect_agrees(site, run)
