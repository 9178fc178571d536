"""kill -9 of the agent at each stage of the loop, with a real one whose twin scans (SIMULATED).

The run does not need the agent; the edge does, and answers again once it scans again. Only with `--nightly`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...loop_site import LoopSite, loop_site
from .scene import STAGES, assert_ended_well, at_stage, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def site(nightly: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSite]:
    with loop_site(tmp_path_factory.mktemp("steered"), steered=True) as opened:
        yield opened


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_agent_costs_no_model_and_the_edge_answers_again(site: LoopSite, stage: str) -> None:
    trigger_id = at_stage(site, stage)
    kill(site, "agent", trigger_id)
    run = assert_ended_well(site, trigger_id)
    assert run.state in ("promoted", "rejected"), run.reason
    if run.state == "promoted":
        site.wait(trigger_id, lambda view: view.first_answer_utc is not None)
