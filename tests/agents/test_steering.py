"""Steering an agent over the wire: the lease, the safe state, stopping at once, doing a thing once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from eucentric_agents import verify_audit
from eucentric_agents.control import AuditLog, AuditRecord, Dispatcher, LeaseKeeper, SessionDesk, SessionNames
from eucentric_agents.drivers import MoveHaltedError
from eucentric_core import (
    BusyError,
    Capabilities,
    CommandEnvelope,
    CommandRefusedError,
    Event,
    Instrument,
    LeaseError,
    LeaseGrant,
    LeaseLost,
    Optics,
    RemoteError,
    Settings,
    StagePosition,
    TransportError,
    UnsupportedError,
)
from eucentric_core.transport import PyroControlClient, StreamSubscriber
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    ColumnValve,
    Command,
    CommandResult,
    Done,
    InstrumentState,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    ScanAcquire,
    ScanStream,
    SessionStart,
    StageGet,
    StageMove,
    StageStop,
    StageTilt,
    StateGet,
)

from .rig import ConnectAgent, StartAgent, wait_until

KNOWN_OPTICS = {"field_of_view_m": 1e-8, "scan_rotation_rad": 0.0}
ENDLESS = ScanStream(height_px=64, width_px=64, max_frames_per_s=50)


def raw_call(settings: Settings, command: Command, *, epoch: int | None, key: str | None = None) -> object:
    """Send a command with whatever epoch and key, as a client gone wrong would."""
    envelope = CommandEnvelope.model_validate(
        {"command": command, "client": "raw", "idempotency_key": key or uuid4().hex, "lease_epoch": epoch}
    )
    client = PyroControlClient(settings.agent.host, settings.agent.control_port)
    try:
        return client.call("execute", envelope.model_dump(mode="json"))
    finally:
        client.close()


def test_connecting_moves_nothing_and_observing_needs_no_lease(agent: ConnectAgent) -> None:
    scope = agent()
    state, stage = scope.state(), scope.stage()
    assert (state.beam_blanked, state.scanning, state.session) == (True, False, None)
    assert agent("bob").stage() == stage
    assert scope.lease().holder is None
    assert scope.capabilities.simulated


def test_steering_needs_the_lease_and_only_one_client_has_it(agent: ConnectAgent) -> None:
    ada, bob = agent(), agent("bob")
    with pytest.raises(LeaseError):
        ada.start_session("s1")
    with ada.control(reason="experiment"):
        assert bob.lease().holder == "ada"
        with pytest.raises(LeaseError, match="ada holds"), bob.control(reason="also"):
            pass
        ada.start_session("s2")
    assert bob.state().session == "s2"
    with bob.control(reason="my turn"):
        bob.stop_session()


def test_a_lost_lease_blanks_the_beam_stops_the_scan_and_is_announced(own_agent: StartAgent) -> None:
    settings, observer = own_agent(lease_duration_s=1.5)
    with StreamSubscriber(
        settings.agent.host, settings.agent.data_port, streams=["events"], mode="lossless"
    ) as events:
        events.wait_subscribed(5)
        # This client asks once and is never heard of again.
        dead = PyroControlClient(settings.agent.host, settings.agent.control_port)
        answer = dead.call("lease.request", {"client": "dead", "reason": "about to die"})
        old_epoch = LeaseGrant.model_validate(answer).epoch
        for command in (SessionStart(session="s"), BeamUnblank(max_duration_s=600), ENDLESS):
            raw_call(settings, command, epoch=old_epoch)
        dead.close()
        assert not observer.state().beam_blanked
        wait_until(lambda: observer.state().beam_blanked and not observer.state().scanning)
        with pytest.raises(LeaseError):
            raw_call(settings, BeamUnblank(max_duration_s=600), epoch=old_epoch)
        received: list[Event] = []

        def lost() -> bool:
            message = events.receive(0.2)
            if message is not None:
                events.acknowledge()
                received.append(message.event())
            return any(isinstance(event, LeaseLost) for event in received)

        wait_until(lost)
    loss = next(event for event in received if isinstance(event, LeaseLost))
    assert (loss.holder, loss.epoch) == ("dead", old_epoch)
    assert loss.safe_state_s < 3

    with observer.control(reason="take over"):
        assert observer.lease().epoch == old_epoch + 1
        with pytest.raises(LeaseError):
            raw_call(settings, ENDLESS, epoch=old_epoch)
        assert not observer.state().scanning


def test_the_agent_blanks_a_beam_that_was_unblanked_for_a_limited_time(
    agent: ConnectAgent, settings: Settings
) -> None:
    scope = agent()
    with scope.control(reason="short look"):
        scope.unblank(max_duration_s=0.2)
        wait_until(lambda: scope.state().beam_blanked)
        assert scope.lease().holder == "ada"
        scope.unblank(max_duration_s=600)
        scope.blank()
        scope.unblank(max_duration_s=600)
        assert not scope.state().beam_blanked
    audit = (settings.home / "agent" / "audit.jsonl").read_text()
    assert audit.count("the time limit of beam.unblank") == 1


def test_a_busy_instrument_refuses_steering_and_queues_nothing_but_stops_at_once(
    agent: ConnectAgent, settings: Settings
) -> None:
    scope, other = agent(), agent("bob")
    defocus_m = scope.state().optics.defocus_m
    with scope.control(reason="a move of nine seconds"), ThreadPoolExecutor() as threads:
        epoch = scope.lease().epoch
        move = threads.submit(scope.move_stage, x_m=9e-9)
        wait_until(lambda: scope.stage().commanded.x_m == 9e-9)
        for command in (OpticsFieldOfView(field_of_view_m=4e-9), OpticsDefocus(defocus_m=7e-9)):
            with pytest.raises(BusyError):
                raw_call(settings, command, epoch=epoch)
        other.blank()
        other.abort_scan()
        assert not move.done()
        other.safe_stop()
        with pytest.raises(RemoteError, match="halted") as halted:
            move.result(timeout=5)
        assert halted.value.details["remote_code"] == MoveHaltedError.code
        assert scope.state().optics.defocus_m == defocus_m
        assert abs(scope.stage().reported.x_m) < 8e-9
        assert scope.set_defocus(1e-9).reported == 1e-9


def test_the_stage_is_read_while_it_moves_and_halted_without_a_lease(agent: ConnectAgent) -> None:
    scope, other = agent(), agent("bob")
    with scope.control(reason="a move of nine seconds"), ThreadPoolExecutor() as threads:
        move = threads.submit(scope.move_stage, x_m=-9e-9)
        wait_until(lambda: scope.stage().commanded.x_m == -9e-9)
        here = scope.stage().reported.x_m
        wait_until(lambda: scope.stage().reported.x_m < here)
        assert not other.state().scanning
        assert not move.done()
        assert scope.stage().age_s == other.state().age_s == 0
        halted = other.execute(StageStop())
        assert isinstance(halted, MoveReport)
        with pytest.raises(RemoteError, match="halted"):
            move.result(timeout=5)


def test_stopping_does_not_wait_for_a_running_scan(agent: ConnectAgent) -> None:
    scope, other = agent(), agent("bob")
    with scope.control(reason="stream"):
        scope.start_session("s3")
        scope.unblank(max_duration_s=600)
        scope.stream(ENDLESS)
        other.safe_stop()
        wait_until(lambda: not other.state().scanning)
        assert other.state().beam_blanked
        scope.unblank(max_duration_s=600)
        scope.stream(ENDLESS)
        other.abort_scan()
        wait_until(lambda: not other.state().scanning)
        assert not other.state().beam_blanked


def test_a_command_delivered_twice_is_carried_out_once(agent: ConnectAgent, settings: Settings) -> None:
    scope = agent()
    scan = ScanAcquire(height_px=512, width_px=512)
    with scope.control(reason="flaky link"), ThreadPoolExecutor(4) as threads:
        scope.start_session("s4")
        epoch = scope.lease().epoch
        deliveries = [
            threads.submit(raw_call, settings, scan, epoch=epoch, key="one-and-the-same") for _ in range(4)
        ]
        answers = [delivery.result() for delivery in deliveries]
        assert answers == [answers[0]] * 4
        assert scope.state().next_sequence == 1
        with pytest.raises(CommandRefusedError, match="another command"):
            raw_call(settings, ENDLESS, epoch=epoch, key="one-and-the-same")
        raw_call(settings, scan, epoch=epoch, key="another-key")
        assert scope.state().next_sequence == 2


def test_a_key_that_was_refused_for_want_of_a_lease_may_be_used_again(
    agent: ConnectAgent, settings: Settings
) -> None:
    scope = agent()
    with pytest.raises(LeaseError):
        raw_call(settings, OpticsDefocus(defocus_m=2e-9), epoch=None, key="try-again")
    with scope.control(reason="now with a lease"):
        raw_call(settings, OpticsDefocus(defocus_m=2e-9), epoch=scope.lease().epoch, key="try-again")
    assert scope.state().optics.defocus_m == 2e-9


def test_a_verb_the_instrument_lacks_is_unsupported_over_the_wire_too(agent: ConnectAgent) -> None:
    scope = agent()
    with scope.control(reason="tilt"), pytest.raises(UnsupportedError, match=r"stage\.tilt"):
        scope.execute(StageTilt(alpha_rad=0.1))


def test_a_session_name_is_used_once(agent: ConnectAgent) -> None:
    scope = agent()
    with scope.control(reason="twice"):
        scope.start_session("monday")
        scope.stop_session()
        with pytest.raises(CommandRefusedError, match="'monday' already"):
            scope.start_session("monday")
        assert scope.state().session is None
        scope.start_session("tuesday")


def test_everything_that_changed_the_instrument_is_in_the_audit_log(
    agent: ConnectAgent, settings: Settings
) -> None:
    path = settings.home / "agent" / "audit.jsonl"
    earlier = len(path.read_text().splitlines())
    scope = agent()
    with scope.control(reason="for the record"):
        scope.set_defocus(3e-9)
        with pytest.raises(CommandRefusedError):
            scope.move_stage(x_m=1e-3)
    with pytest.raises(LeaseError):
        scope.set_defocus(4e-9)
    scope.safe_stop()
    verify_audit(path)
    records = [AuditRecord.model_validate_json(line) for line in path.read_text().splitlines()[earlier:]]
    told = [(record.who, record.action, record.outcome) for record in records]
    assert told == [
        ("ada", "lease.request", "done"),
        ("ada", "optics.defocus", "begun"),
        ("ada", "optics.defocus", "done"),
        ("ada", "stage.move", "begun"),
        ("ada", "stage.move", "refused"),
        ("ada", "lease.release", "done"),
        ("ada", "optics.defocus", "refused"),
        ("ada", "safe_stop", "done"),
    ]
    assert records[1].details == {"defocus_m": 3e-9}
    assert records[4].error is not None
    assert records[4].error.code == "command_refused"


@pytest.fixture
def dispatch(tmp_path: Path) -> Iterator[Callable[[Instrument], Dispatcher]]:
    """Puts an instrument of the test's own behind a dispatcher."""
    with ExitStack() as opened:

        def open_dispatcher(driver: Instrument) -> Dispatcher:
            events: list[Event] = []
            audit = AuditLog(tmp_path / "audit.jsonl")
            opened.callback(audit.close)
            dispatcher = Dispatcher(
                driver,
                SessionDesk(driver, SessionNames(tmp_path / "sessions.txt"), events.append),
                lease=LeaseKeeper(tmp_path / "lease.json"),
                audit=audit,
                announce=events.append,
            )
            opened.callback(dispatcher.close)
            return dispatcher

        yield open_dispatcher


def ask(dispatcher: Dispatcher, command: Command, *, epoch: int | None = None) -> CommandResult:
    """Send one command past the wire."""
    return dispatcher.execute(
        CommandEnvelope(command=command, client="ada", idempotency_key=uuid4().hex, lease_epoch=epoch)
    )


class OneThreaded:
    """An instrument that answers only the thread that opened it, and moves its stage until told to go on."""

    capabilities = Capabilities(
        instrument="old",
        model="old",
        simulated=True,
        verbs=("beam.blank", "beam.unblank", "stage.get", "stage.move", "state.get"),
        streams=(),
    )

    def __init__(self) -> None:
        self.moving, self.go_on = threading.Event(), threading.Event()
        self.blanked = True
        self.x_m = 0.0
        self.unreadable = False
        self._owner: int | None = None

    def execute(self, command: Command) -> CommandResult:
        if isinstance(command, BeamBlank):
            self.blanked = True
            return Done()
        self._owner = self._owner or threading.get_ident()
        assert threading.get_ident() == self._owner
        if isinstance(command, StateGet | StageGet) and self.unreadable:
            raise TransportError("No answer.", safe="nothing moved.", next_step="ask again.")
        if isinstance(command, BeamUnblank):
            self.blanked = False
            return Done()
        if isinstance(command, StageMove):
            self.x_m = command.x_m or 0.0
            self.moving.set()
            assert self.go_on.wait(30)
        place = StagePosition(x_m=self.x_m)
        if isinstance(command, StateGet):
            return InstrumentState(
                session=None,
                scanning=False,
                beam_blanked=self.blanked,
                next_sequence=0,
                stage=place,
                optics=Optics.model_validate(dict.fromkeys(Optics.model_fields) | KNOWN_OPTICS),
                dose_e_per_a2=None,
                simulated=True,
            )
        return MoveReport(commanded=place, reported=place, actual=None, tolerance_m=1e-9, settle_time_s=0)

    def abort(self) -> None:
        """Nothing to abort."""

    def safe_state(self) -> None:
        self.blanked = True
        self.go_on.set()

    def close(self) -> None:
        """Nothing to close."""


def test_an_instrument_at_work_that_cannot_be_read_is_answered_for_with_an_age(
    dispatch: Callable[[Instrument], Dispatcher],
) -> None:
    old = OneThreaded()
    dispatcher = dispatch(old)
    epoch = dispatcher.request_lease("ada", "a long move").epoch
    ask(dispatcher, BeamUnblank(max_duration_s=600), epoch=epoch)
    with ThreadPoolExecutor() as threads:
        move = threads.submit(ask, dispatcher, StageMove(x_m=1e-6), epoch=epoch)
        assert old.moving.wait(10)
        state, stage = ask(dispatcher, StateGet()), ask(dispatcher, StageGet())
        assert isinstance(state, InstrumentState)
        assert isinstance(stage, MoveReport)
        # As it was right before the move, although nobody had asked then.
        assert (state.beam_blanked, state.stage.x_m, stage.reported.x_m) == (False, 0, 0)
        later = ask(dispatcher, StateGet())
        assert isinstance(later, InstrumentState)
        assert 0 < state.age_s < later.age_s
        assert stage.age_s > 0
        ask(dispatcher, BeamBlank())
        blanked = ask(dispatcher, StateGet())
        assert isinstance(blanked, InstrumentState)
        assert blanked.beam_blanked
        assert not move.done()
        old.go_on.set()
        move.result(timeout=10)
    fresh = ask(dispatcher, StageGet())
    assert isinstance(fresh, MoveReport)
    assert (fresh.reported.x_m, fresh.age_s) == (1e-6, 0)


def test_an_instrument_that_was_never_read_is_busy_rather_than_guessed(
    dispatch: Callable[[Instrument], Dispatcher],
) -> None:
    old = OneThreaded()
    old.unreadable = True
    dispatcher = dispatch(old)
    with pytest.raises(TransportError, match="No answer"):
        ask(dispatcher, StateGet())
    epoch = dispatcher.request_lease("ada", "a long move").epoch
    with ThreadPoolExecutor() as threads:
        move = threads.submit(ask, dispatcher, StageMove(x_m=1e-6), epoch=epoch)
        assert old.moving.wait(10)
        with pytest.raises(BusyError, match=r"state\.get was not answered"):
            ask(dispatcher, StateGet())
        assert not move.done()
        old.go_on.set()
        assert isinstance(move.result(timeout=10), MoveReport)


class Valves:
    """An instrument with nothing but a column valve."""

    capabilities = Capabilities(
        instrument="valves", model="valves", simulated=True, verbs=("column.valve",), streams=()
    )

    def __init__(self) -> None:
        self.opened = False

    def execute(self, command: Command) -> CommandResult:
        self.opened = True
        return Done()

    def abort(self) -> None:
        """Nothing to abort."""

    def safe_state(self) -> None:
        self.opened = False

    def close(self) -> None:
        """Nothing to close."""


def test_a_hazardous_command_is_refused_even_to_the_holder_of_the_lease(
    dispatch: Callable[[Instrument], Dispatcher],
) -> None:
    valves = Valves()
    dispatcher = dispatch(valves)
    grant = dispatcher.request_lease("ada", "open the valve")
    with pytest.raises(CommandRefusedError, match="hazardous"):
        ask(dispatcher, ColumnValve(open=True), epoch=grant.epoch)
    assert not valves.opened
