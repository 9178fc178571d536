"""The same procedures through an agent; a lost lease ends them with the beam blanked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eucentric_agents import Agent
from eucentric_agents.procedures import (
    DrivePlan,
    DriveToFeature,
    Exposure,
    Montage,
    Progress,
    find_particles,
    run,
)
from eucentric_core import LeaseError, Settings, SteeringClient, connect
from eucentric_core.transport import PyroControlClient, find_free_port

from .scene import WORN_STAGE, error_rms_px, finished_steps, landscape, small_plan


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    agent = landscape(3, WORN_STAGE).model_copy(
        update={"control_port": find_free_port(), "data_port": find_free_port(), "min_free_bytes": 0}
    )
    chosen = Settings(home=tmp_path_factory.mktemp("machine") / "home", agent=agent)
    with Agent(chosen):
        yield chosen


@pytest.fixture
def scope(settings: Settings) -> Iterator[SteeringClient]:
    agent = settings.agent
    with connect(agent.host, agent.control_port, client="ada", data_port=agent.data_port) as client:
        yield client


def test_a_montage_and_a_drive_run_through_an_agent(scope: SteeringClient) -> None:
    with scope.control(reason="montage"):
        mosaic = run(Montage(small_plan(2, 2, overlap=0.3)), scope)
        overview = Exposure(height_px=256, width_px=256, field_of_view_m=6e-7)
        plan = DrivePlan(overview=overview, final=Exposure(height_px=64, width_px=64, field_of_view_m=6e-8))
        driven = run(
            DriveToFeature(plan, lambda frame: find_particles(frame, diameter_m=10e-9, margin_px=8)[:1]),
            scope,
        )
        state = scope.state()
    assert error_rms_px(mosaic, of="solved") <= 1.5
    assert [visit.reached for visit in driven.visits] == [True]
    assert state.beam_blanked
    assert state.session is None


def test_a_lost_lease_ends_it_with_the_beam_blanked_and_it_can_go_on_later(
    scope: SteeringClient, settings: Settings, tmp_path: Path
) -> None:
    agent = settings.agent
    montage = Montage(small_plan(2, 2, overlap=0.3))

    def lose_the_lease(event: Progress) -> None:
        if event.step == 3:
            scope.unblank(max_duration_s=60)
            epoch = scope.lease().epoch
            with closing(PyroControlClient(agent.host, agent.control_port)) as console:
                console.call("lease.release", {"client": "ada", "epoch": epoch})

    with pytest.raises(LeaseError), scope.control(reason="montage"):
        run(montage, scope, checkpoint=tmp_path, progress=lose_the_lease)
    assert scope.state().beam_blanked
    assert len(finished_steps(tmp_path)) == 3

    with scope.control(reason="the rest of it"):
        result = run(montage, scope, checkpoint=tmp_path)
    assert error_rms_px(result, of="solved") <= 1.5
