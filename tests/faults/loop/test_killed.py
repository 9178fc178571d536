"""kill -9 of each service at each stage of the loop: it finishes or stops loudly, with one model per trigger.

Every case retrains a tiny model from SIMULATED frames, with real Prefect, MLflow, workers and edge. What was
killed is started again a moment later, as systemd would. A usual run kills at two places, `--nightly` at all.
"""

from __future__ import annotations

import pytest

from ...loop_site import LoopSite
from .scene import STAGES, assert_ended_well, at_stage, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

VICTIMS = ("prefect", "mlflow", "flows", "edge", "run", "workers")
USUAL = (("run", "train"), ("flows", "register"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "victim" in metafunc.fixturenames:
        nightly = metafunc.config.getoption("--nightly")
        every = [(victim, stage) for victim in VICTIMS for stage in STAGES]
        metafunc.parametrize(("victim", "stage"), every if nightly else USUAL)


def test_a_killed_service_costs_no_model_and_leaves_no_run_running(
    site: LoopSite, victim: str, stage: str
) -> None:
    trigger_id = at_stage(site, stage)
    kill(site, victim, trigger_id)
    assert_ended_well(site, trigger_id)
