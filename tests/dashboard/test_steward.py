"""Steering in the names of people at browsers, before a real agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eucentric_core import LeaseError, NotAuthorisedError, Role, SteeringClient
from eucentric_core.vocabulary import BeamUnblank
from eucentric_dashboard._person import Person
from eucentric_dashboard._steward import Steward

from .running_site import RunningSite
from .stand_in import eventually

pytestmark = pytest.mark.slow

ADA, BEN = Person("ada", Role.SCIENTIST), Person("ben", Role.SCIENTIST)
BOB, EVE = Person("bob", Role.OPERATOR), Person("eve", Role.VIEWER)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    site = RunningSite(tmp_path_factory.mktemp("agent"))
    try:
        site.start("agent")
        yield site
    finally:
        site.stop_all()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def steward(agent: RunningSite, clock: list[float]) -> Iterator[Steward]:
    steward = Steward(agent.scope, now_s=lambda: clock[0])
    steward.start()
    yield steward
    steward.close()


@pytest.fixture
def watcher(agent: RunningSite) -> Iterator[SteeringClient]:
    with agent.scope("watcher") as scope:
        yield scope


def test_a_scientist_holds_it_in_their_own_name_until_they_release_it(
    steward: Steward, watcher: SteeringClient
) -> None:
    steward.request(ADA, "a tilt series")

    status = watcher.lease()
    assert (status.holder, status.reason, steward.holder) == ("ada", "a tilt series", ADA)
    steward.scope(ADA).execute(BeamUnblank(max_duration_s=60))

    steward.release(ADA)

    assert (watcher.lease().holder, steward.holder) == (None, None)
    assert not watcher.state().beam_blanked, "a release leaves the instrument as it is"
    watcher.safe_stop()


def test_a_viewer_steers_nothing(steward: Steward, watcher: SteeringClient) -> None:
    with pytest.raises(NotAuthorisedError, match="role scientist"):
        steward.request(EVE, "curious")
    assert watcher.lease().holder is None


def test_an_equal_waits_and_a_higher_role_takes_it_over_with_the_instrument_safe(
    steward: Steward, watcher: SteeringClient
) -> None:
    steward.request(ADA, "a tilt series")
    steward.scope(ADA).execute(BeamUnblank(max_duration_s=60))
    with pytest.raises(LeaseError, match="ada steers"):
        steward.request(BEN, "mine")
    with pytest.raises(NotAuthorisedError, match="role scientist"):
        steward.request(BEN, "mine", take_over=True)

    steward.request(BOB, "the valve", take_over=True)

    assert (watcher.lease().holder, steward.holder) == ("bob", BOB)
    assert watcher.state().beam_blanked
    with pytest.raises(LeaseError, match="ada does not steer"):
        steward.scope(ADA)


def test_it_is_not_taken_from_a_notebook_of_an_equal(
    steward: Steward, agent: RunningSite, watcher: SteeringClient
) -> None:
    with agent.scope("notebook") as notebook, notebook.control(reason="measuring"):
        with pytest.raises(NotAuthorisedError, match="notebook steers"):
            steward.request(ADA, "mine", take_over=True, lease=watcher.lease())
        assert watcher.lease().holder == "notebook"


def test_whoever_goes_away_loses_it_and_the_instrument_is_made_safe(
    steward: Steward, watcher: SteeringClient, clock: list[float]
) -> None:
    steward.request(ADA, "a tilt series")
    steward.scope(ADA).execute(BeamUnblank(max_duration_s=60))
    clock[0] = 4.0
    steward.seen("ada")
    clock[0] = 8.0
    assert not eventually(lambda: steward.holder is None, timeout_s=1.0), "she was there four seconds ago"

    clock[0] = 10.0

    assert eventually(lambda: watcher.lease().holder is None)
    assert watcher.state().beam_blanked
    assert steward.last_end is not None
    assert "ada steers no more" in steward.last_end


def test_it_ends_with_the_dashboard(agent: RunningSite, watcher: SteeringClient) -> None:
    steward = Steward(agent.scope)
    steward.request(ADA, "a tilt series")
    steward.scope(ADA).execute(BeamUnblank(max_duration_s=60))

    steward.close()

    assert watcher.lease().holder is None
    assert watcher.state().beam_blanked
