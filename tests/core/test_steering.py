"""One holder steers, everybody may look and stop, and a lost lease is never silent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eucentric_core import (
    Capabilities,
    CommandEnvelope,
    CommandRefusedError,
    LeaseError,
    ServiceUnavailableError,
    StagePosition,
    SteeringClient,
    TransportError,
    connect,
)
from eucentric_core.transport import PyroControlServer, find_free_port
from eucentric_core.vocabulary import COMMANDS, AutoFocus, MoveReport, StageMove, StageStop

Payload = dict[str, Any]


class SmallAgent:
    """The control methods of an agent with a stage and nothing else; the lease lasts 0.6 s."""

    def __init__(self) -> None:
        self.holder: str | None = None
        self.epoch = 0
        self.renewals = 0
        self.x_m = 0.0
        self.lose_lease = False
        self.stopped_by: list[str] = []
        self.limits: Payload = {"beam": {"max_unblank_s": 60.0}}
        self.busy = threading.Event()
        self.release = threading.Event()
        self.methods = {
            "describe": self._describe,
            "execute": self._execute,
            "safe_stop": self._safe_stop,
            "lease.request": self._request,
            "lease.renew": self._renew,
            "lease.present": self._present,
            "lease.release": self._release,
            "interlocks.show": lambda _: {"limits": self.limits},
            "interlocks.tighten": self._tighten,
            "lease.status": lambda _: {"holder": self.holder, "epoch": self.epoch, "remaining_s": 1.0},
        }

    def _describe(self, _: Payload) -> Payload:
        return Capabilities(
            instrument="small", model="test", simulated=True, verbs=tuple(COMMANDS), streams=()
        ).model_dump(mode="json")

    def _execute(self, payload: Payload) -> Payload:
        envelope = CommandEnvelope.model_validate(payload)
        command = envelope.command
        if command.command_class != "observe" and envelope.lease_epoch != self.epoch:
            raise LeaseError("No lease.", safe="all of it.", next_step="take the lease.")
        match command:
            case StageMove():
                self.x_m = command.x_m or 0.0
            case AutoFocus():
                self.busy.set()
                assert self.release.wait(20)
                return {"wrong": "answer"}
            case StageStop():
                self.release.set()
        position = StagePosition(x_m=self.x_m)
        return MoveReport(
            commanded=position, reported=position, actual=None, tolerance_m=1e-9, settle_time_s=0
        ).model_dump(mode="json")

    def _safe_stop(self, payload: Payload) -> Payload:
        self.stopped_by.append(payload["client"])
        return {}

    def _tighten(self, payload: Payload) -> Payload:
        assert payload["client"] == "alice"
        self.limits = payload["limits"]
        return {"limits": self.limits}

    def _request(self, payload: Payload) -> Payload:
        if self.holder is not None:
            raise LeaseError(f"{self.holder} steers.", safe="all of it.", next_step="wait.")
        self.holder, self.epoch = payload["client"], self.epoch + 1
        return {"holder": self.holder, "epoch": self.epoch, "duration_s": 0.6}

    def _renew(self, payload: Payload) -> Payload:
        if self.lose_lease:
            self.holder = None
            raise LeaseError("Pre-empted by the operator.", safe="beam is blanked.", next_step="ask.")
        self.renewals += 1
        return {"holder": self.holder, "epoch": self.epoch, "duration_s": 0.6}

    def _present(self, _: Payload) -> Payload:
        if self.lose_lease:
            self.holder = None
            raise LeaseError("Pre-empted by the operator.", safe="beam is blanked.", next_step="ask.")
        return {"holder": self.holder, "epoch": self.epoch, "duration_s": 0.6}

    def _release(self, payload: Payload) -> Payload:
        assert payload["epoch"] == self.epoch
        self.holder = None
        return {}


@pytest.fixture
def agent() -> SmallAgent:
    """An agent's methods."""
    return SmallAgent()


@pytest.fixture
def address(agent: SmallAgent, start_control: Callable[..., PyroControlServer]) -> tuple[str, int]:
    """Where the agent answers."""
    return start_control(agent.methods).address


@pytest.fixture
def scope(address: tuple[str, int]) -> Iterator[SteeringClient]:
    """A connected client."""
    with connect(*address, client="alice") as scope:
        yield scope


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for at most 20 s."""
    tick = threading.Event()
    for _ in range(2000):
        if condition():
            return
        tick.wait(0.01)
    pytest.fail("waited in vain")


def test_observing_needs_no_lease_and_steering_does(scope: SteeringClient) -> None:
    assert scope.capabilities.instrument == "small"
    assert scope.stage().reported.x_m == 0
    with pytest.raises(LeaseError, match="No lease"):
        scope.move_stage(x_m=1e-6)


def test_a_holder_steers_and_gives_the_lease_back(scope: SteeringClient, agent: SmallAgent) -> None:
    with scope.control(reason="align"):
        assert scope.lease().holder == "alice"
        assert scope.move_stage(x_m=1e-6).reported.x_m == 1e-6
        wait_until(lambda: agent.renewals >= 2)
    assert scope.lease().holder is None
    with pytest.raises(LeaseError):
        scope.move_stage(x_m=2e-6)


def test_a_second_client_is_told_who_steers(
    scope: SteeringClient, address: tuple[str, int], agent: SmallAgent
) -> None:
    with connect(*address, client="bob") as other, scope.control(reason="align"):
        with pytest.raises(LeaseError, match="alice steers"), other.control(reason="mine"):
            pytest.fail("two steer at a time")
        other.safe_stop()
        assert other.stage().reported.x_m == 0
    assert agent.stopped_by == ["bob"]


def test_a_lost_lease_refuses_the_next_move_and_is_told_at_the_end(
    scope: SteeringClient, agent: SmallAgent
) -> None:
    def steer() -> None:
        with scope.control(reason="align"):
            agent.lose_lease = True
            wait_until(lambda: scope.lease_lost is not None)
            with pytest.raises(LeaseError, match="Pre-empted"):
                scope.move_stage(x_m=1e-6)
            assert scope.stage().reported.x_m == 0  # looking is still allowed

    with pytest.raises(LeaseError, match="Pre-empted"):
        steer()
    assert agent.x_m == 0


def test_a_vanished_agent_costs_the_lease(agent: SmallAgent) -> None:
    server = PyroControlServer(agent.methods, host="127.0.0.1", port=0)
    serving = threading.Thread(target=server.serve)
    serving.start()

    def steer() -> None:
        with connect(*server.address, client="alice", timeout_s=2) as scope, scope.control(reason="align"):
            server.stop()
            serving.join()
            wait_until(lambda: scope.lease_lost is not None)

    with pytest.raises(LeaseError, match="could not be renewed"):
        steer()


def test_an_error_in_the_work_is_not_hidden_by_a_lease_that_cannot_be_returned(
    scope: SteeringClient, agent: SmallAgent, caplog: pytest.LogCaptureFixture
) -> None:
    del agent.methods["lease.release"]
    with pytest.raises(ZeroDivisionError), scope.control(reason="align"):
        _ = 1 / 0
    assert "lease not released" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_work_that_ends_by_an_exception_leaves_the_instrument_safe_and_the_lease_free(
    scope: SteeringClient, agent: SmallAgent, error: type[BaseException]
) -> None:
    def steer() -> None:
        with scope.control(reason="align"):
            assert agent.stopped_by == []
            raise error("mistake")

    with pytest.raises(error):
        steer()
    assert agent.stopped_by == ["alice"]
    assert agent.holder is None


def test_work_that_ends_normally_leaves_the_instrument_as_it_is(
    scope: SteeringClient, agent: SmallAgent
) -> None:
    with scope.control(reason="align"):
        pass
    assert agent.stopped_by == []


def test_an_instrument_that_cannot_be_made_safe_does_not_hide_the_error(
    scope: SteeringClient, agent: SmallAgent, caplog: pytest.LogCaptureFixture
) -> None:
    del agent.methods["safe_stop"]
    with pytest.raises(ZeroDivisionError) as raised, scope.control(reason="align"):
        _ = 1 / 0
    assert "not made safe" in caplog.text
    assert "not made safe" in raised.value.__notes__[0]
    assert agent.holder is None


def test_somebody_who_has_lost_the_lease_does_not_stop_the_next_holder(
    scope: SteeringClient, agent: SmallAgent
) -> None:
    def steer() -> None:
        with scope.control(reason="align"):
            agent.lose_lease = True
            agent.epoch += 1
            scope.move_stage(x_m=1e-6)

    with pytest.raises(LeaseError):
        steer()
    assert agent.stopped_by == []


def test_a_closed_scope_says_so_and_does_not_connect_again(scope: SteeringClient, agent: SmallAgent) -> None:
    scope.close()
    calls: list[Callable[[], object]] = [
        *(scope.stage, scope.lease, scope.safe_stop, scope.interlocks, scope.scan),
        *(lambda: scope.offer_lease("bob"), lambda: scope.tighten_interlocks({})),
        lambda: scope.control(reason="again").__enter__(),
    ]
    for call in calls:
        with pytest.raises(CommandRefusedError, match="This scope is closed"):
            call()
    assert agent.stopped_by == []
    scope.close()


def test_closing_while_steering_gives_the_lease_back_with_the_instrument_safe(
    scope: SteeringClient, agent: SmallAgent
) -> None:
    with scope.control(reason="align"):
        scope.close()
    assert agent.stopped_by == ["alice"]
    assert agent.holder is None


def test_interlocks_are_shown_and_made_tighter(scope: SteeringClient) -> None:
    assert scope.interlocks() == {"limits": {"beam": {"max_unblank_s": 60.0}}}
    tighter = scope.tighten_interlocks({"beam": {"max_unblank_s": 5.0}})
    assert tighter == scope.interlocks() == {"limits": {"beam": {"max_unblank_s": 5.0}}}


def test_neither_halting_nor_reading_the_stage_waits_behind_a_running_command(
    scope: SteeringClient, agent: SmallAgent
) -> None:
    failures: list[Exception] = []

    def focus() -> None:
        try:
            scope.execute(AutoFocus())
        except TransportError as error:
            failures.append(error)

    with scope.control(reason="align"):
        running = threading.Thread(target=focus)
        running.start()
        assert agent.busy.wait(20)
        assert scope.stage().reported.x_m == 0
        assert running.is_alive()
        scope.execute(StageStop())
        running.join(20)
    assert not running.is_alive()
    assert "no OpticsReport" in str(failures[0])  # an answer of another schema is a typed error, too


def test_nobody_there_is_a_typed_error() -> None:
    with pytest.raises(ServiceUnavailableError, match="No service answers"):
        connect("127.0.0.1", find_free_port(), client="alice", timeout_s=2)
