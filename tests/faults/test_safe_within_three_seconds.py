"""Whatever dies, hangs or falls silent: beam off and everything still within three seconds, on record.

The simulated hardware's own log is the measure, not what the software says of itself.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import EucentricError, LeaseError, SteeringClient

from .scene import Activity, Microscope, Scientist, microscope, scientist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops processes by POSIX signals"),
]

STANDS_STILL: dict[Activity, str | None] = {
    "looking": None,
    "streaming": "scan.end",
    "scanning": "scan.end",
    "moving": "stage.halt",
    "hung": "stage.halt",
}
"""What the hardware must be told beside `beam.blank`."""

CLIENT_LOSSES: dict[str, Callable[[Scientist], None]] = {
    "client killed": Scientist.kill,
    "client stopped": Scientist.freeze,
    "link cut": lambda person: person.link.cut(),
    "link silent": lambda person: person.link.fall_silent(),
}


FAULTS: list[tuple[Microscope, float]] = []
"""When something happened to which microscope in the present test."""


@pytest.fixture(autouse=True)
def stays_off() -> Iterator[None]:
    """Whatever happens after the fault, and at the very end, does not put the beam on again."""
    FAULTS.clear()
    yield
    for scope, since_s in FAULTS:
        assert [e for e in scope.journal(since_s=since_s) if e["what"] == "beam.unblank"] == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microscope]:
    """An agent that survives its clients."""
    with microscope(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Microscope]:
    """An agent for one test."""
    with microscope(tmp_path) as running:
        yield running


def expect_safe(scope: Microscope, activity: Activity, *, since_s: float) -> None:
    """The hardware was told to blank and to stand still in time, and was not told to unblank again."""
    FAULTS.append((scope, since_s))
    scope.wait_told("beam.blank", since_s=since_s)
    still = STANDS_STILL[activity]
    if still is not None:
        scope.wait_told(still, since_s=since_s)
    assert [e for e in scope.journal(since_s=since_s) if e["what"] == "beam.unblank"] == []


def expect_free(witness: SteeringClient) -> None:
    """The lease is over, the beam is off, and somebody else may steer."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            with witness.control(reason="next, please"):
                assert witness.state().beam_blanked
                assert not witness.state().scanning
                witness.stop_session()
                return
        except LeaseError:
            # Held until it expires, and then until the instrument is safe.
            time.sleep(0.1)
    pytest.fail(f"the lease was not released: {witness.lease()}")


def recorded(scope: Microscope, action: str, *, after: int) -> list[dict[str, Any]]:
    """Audit records of an action behind the first `after` records; waits a little for them."""
    deadline_s = time.monotonic() + 10
    while True:
        found = [record for record in scope.audit()[after:] if record["action"] == action]
        if found or time.monotonic() > deadline_s:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("activity", ["looking", "streaming", "scanning", "moving"])
@pytest.mark.parametrize("loss", CLIENT_LOSSES)
def test_a_lost_client_costs_the_beam(shared: Microscope, loss: str, activity: Activity) -> None:
    before = len(shared.audit())
    with shared.observe() as witness, scientist(shared, activity) as person:
        lost_s = time.monotonic()
        CLIENT_LOSSES[loss](person)
        expect_safe(shared, activity, since_s=lost_s)
        expect_free(witness)
    (silent,) = recorded(shared, "lease.silent", after=before)
    (lost,) = recorded(shared, "lease.lost", after=before)
    assert silent["details"]["holder"] == lost["details"]["holder"] == "scientist"


def test_a_program_that_raises_does_not_keep_the_beam_on(shared: Microscope) -> None:
    before = len(shared.audit())
    with shared.observe() as witness, scientist(shared, "looking") as person:
        lost_s = time.monotonic()
        person.stumble()
        expect_safe(shared, "looking", since_s=lost_s)
        expect_free(witness)
        assert person.process.wait(timeout=60) == 1
    (stop,) = recorded(shared, "safe_stop", after=before)
    assert stop["who"] == "scientist"


@pytest.mark.parametrize("activity", ["looking", "streaming", "moving"])
def test_a_stopped_agent_does_not_keep_the_beam_on(shared: Microscope, activity: Activity) -> None:
    before = len(shared.audit())
    with scientist(shared, activity):
        lost_s = time.monotonic()
        shared.signal(signal.SIGSTOP)
        expect_safe(shared, activity, since_s=lost_s)
        # Long enough for the lease to run out in its sleep.
        time.sleep(max(0.0, lost_s + shared.lease_duration_s + 0.2 - time.monotonic()))
        shared.signal(signal.SIGCONT)
        assert recorded(shared, "driver.made_safe", after=before)
    with shared.observe() as witness:
        expect_free(witness)


@pytest.mark.parametrize("activity", ["looking", "streaming"])
def test_an_agent_whose_interpreter_is_held_does_not_keep_the_beam_on(
    shared: Microscope, activity: Activity
) -> None:
    before = len(shared.audit())
    with scientist(shared, activity):
        lost_s = time.monotonic()
        shared.signal(signal.SIGUSR1)
        expect_safe(shared, activity, since_s=lost_s)
        assert recorded(shared, "driver.made_safe", after=before)
    with shared.observe() as witness:
        expect_free(witness)


@pytest.mark.parametrize("activity", ["looking", "scanning", "moving"])
def test_a_killed_agent_leaves_the_beam_off_and_comes_back_without_a_lease(
    own: Microscope, activity: Activity
) -> None:
    with scientist(own, activity):
        lost_s = time.monotonic()
        own.signal(signal.SIGKILL)
        expect_safe(own, activity, since_s=lost_s)
    own.agent.stop()
    before = len(own.audit())
    own.start()
    with own.observe() as witness:
        assert witness.lease().holder is None
        assert witness.state().beam_blanked
        with witness.control(reason="after the fall"):
            assert witness.lease().epoch == 2
    assert recorded(own, "agent.unclean_end", after=before)


def test_an_agent_that_is_stopped_blanks_before_it_waits_for_anything(own: Microscope) -> None:
    with scientist(own, "looking"):
        # The watchdog's own reading hangs for longer than the beam may stay on.
        own.break_driver(hanging_verbs=["state.get"])
        time.sleep(0.2)
        stopped_s = time.monotonic()
        own.signal(signal.SIGTERM)
        expect_safe(own, "looking", since_s=stopped_s)
        own.break_driver()
    own.agent.stop()
    stops = [r for r in own.audit() if r["action"] == "safe_state" and "the agent stops" in str(r)]
    assert len(stops) == 2, "first of all, and again when nobody can steer any more"


def test_a_hung_driver_does_not_keep_the_beam_on_when_its_client_dies(shared: Microscope) -> None:
    before = len(shared.audit())
    shared.break_driver(hanging_verbs=["stage.move"])
    with scientist(shared, "hung") as person:
        lost_s = time.monotonic()
        person.kill()
        expect_safe(shared, "hung", since_s=lost_s)
    shared.break_driver()
    with shared.observe() as witness:
        expect_free(witness)
    assert recorded(shared, "lease.lost", after=before)


@pytest.mark.parametrize("activity", ["hung", "scanning", "moving"])
def test_anybody_may_stop_a_hung_or_busy_driver(shared: Microscope, activity: Activity) -> None:
    before = len(shared.audit())
    shared.break_driver(hanging_verbs=["stage.move"] if activity == "hung" else [])
    with scientist(shared, activity) as person, shared.observe() as witness:
        asked_s = time.monotonic()
        witness.safe_stop()
        expect_safe(shared, activity, since_s=asked_s)
        shared.break_driver()
        person.kill()
        expect_free(witness)
    (stop,) = recorded(shared, "safe_stop", after=before)
    assert stop["who"] == "witness"


def test_a_frozen_driver_process_is_replaced_by_one_that_makes_safe_first(own: Microscope) -> None:
    with scientist(own, "looking"), own.observe() as witness:
        own.break_driver(process_freezes_s=60)
        lost_s = time.monotonic()
        with pytest.raises(EucentricError):
            # The command that meets the fault: from here on no thread of the driver's process runs.
            witness.stage()
        own.break_driver()
        expect_safe(own, "looking", since_s=lost_s)
        assert recorded(own, "driver.lost", after=0)
        assert recorded(own, "driver.restarted", after=0)
