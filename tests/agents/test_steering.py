"""Steering an agent over the wire: the lease, the safe state, stopping at once, doing a thing once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import JsonValue

from eucentric_agents import verify_audit
from eucentric_agents.control import AuditRecord
from eucentric_core import (
    BusyError,
    CommandEnvelope,
    CommandRefusedError,
    Event,
    LeaseError,
    LeaseGrant,
    LeaseLost,
    MoveHaltedError,
    NotAuthorisedError,
    Role,
    Settings,
    TransportError,
    UnsupportedError,
)
from eucentric_core.transport import PyroControlClient, StreamSubscriber
from eucentric_core.vocabulary import (
    COMMANDS,
    BeamBlank,
    BeamUnblank,
    ColumnValve,
    Command,
    CommandResult,
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
from .steering_bench import Bench, Rig, someone

KNOWN_OPTICS = {"field_of_view_m": 1e-8, "scan_rotation_rad": 0.0}
ENDLESS = ScanStream(height_px=64, width_px=64, max_frames_per_s=50)


def raw_call(
    settings: Settings, command: Command, *, epoch: int | None, client: str = "ada", key: str | None = None
) -> object:
    """Send a command with whatever epoch and key, as a client gone wrong would."""
    envelope = CommandEnvelope.model_validate(
        {"command": command, "client": client, "idempotency_key": key or uuid4().hex, "lease_epoch": epoch}
    )
    connection = PyroControlClient(settings.agent.host, settings.agent.control_port)
    try:
        return connection.call("execute", envelope.model_dump(mode="json"))
    finally:
        connection.close()


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


@pytest.mark.alone
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
            raw_call(settings, command, client="dead", epoch=old_epoch)
        dead.close()
        assert not observer.state().beam_blanked
        wait_until(lambda: observer.state().beam_blanked and not observer.state().scanning)
        with pytest.raises(LeaseError):
            raw_call(settings, BeamUnblank(max_duration_s=600), client="dead", epoch=old_epoch)
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
            raw_call(settings, ENDLESS, client="dead", epoch=old_epoch)
        assert not observer.state().scanning


@pytest.mark.alone
def test_a_holder_who_falls_silent_loses_the_beam_within_three_seconds_and_keeps_the_lease(
    agent: ConnectAgent, settings: Settings
) -> None:
    observer = agent("bob")
    silent = PyroControlClient(settings.agent.host, settings.agent.control_port)
    answer = silent.call("lease.request", {"client": "ada", "reason": "a bad link"})
    epoch = LeaseGrant.model_validate(answer).epoch
    raw_call(settings, BeamUnblank(max_duration_s=600), epoch=epoch)
    last_heard_s = time.monotonic()
    assert not observer.state().beam_blanked
    wait_until(lambda: observer.state().beam_blanked)
    assert time.monotonic() - last_heard_s < 3
    assert observer.lease().holder == "ada"
    holding: dict[str, JsonValue] = {"client": "ada", "epoch": epoch}
    back = LeaseGrant.model_validate(silent.call("lease.present", holding))
    assert back.made_safe == "ada was not heard of"
    raw_call(settings, BeamUnblank(max_duration_s=600), epoch=epoch)
    silent.call("lease.release", holding)
    silent.close()


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
        with pytest.raises(MoveHaltedError):
            move.result(timeout=30)
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
        with pytest.raises(MoveHaltedError):
            move.result(timeout=30)


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
    assert records[1].details["defocus_m"] == 3e-9
    assert records[1].role is Role.SCIENTIST
    assert str(records[1].details["address"]).startswith("127.0.0.1:")
    assert records[2].before is not None
    assert records[2].after is not None
    assert records[2].after["optics"] != records[2].before["optics"]
    assert records[4].error is not None
    assert records[4].error.code == "interlock"


class OneThreaded(Bench):
    """An instrument that answers only the thread that opened it, and moves its stage until told to go on."""

    def __init__(self) -> None:
        super().__init__(concurrent=False)
        self.hold = "stage.move"
        self.unreadable = False
        self._owner: int | None = None

    def execute(self, command: Command) -> CommandResult:
        if not command.urgent:
            self._owner = self._owner or threading.get_ident()
            assert threading.get_ident() == self._owner
            if isinstance(command, StateGet | StageGet) and self.unreadable:
                raise TransportError("No answer.", safe="nothing moved.", next_step="ask again.")
        return super().execute(command)


ADA = someone("ada")


def test_an_instrument_at_work_that_cannot_be_read_is_answered_for_with_an_age(tmp_path: Path) -> None:
    old = OneThreaded()
    with Rig(tmp_path, bench=old) as rig:
        epoch = rig.lease(ADA, "a long move")
        rig.ask(ADA, BeamUnblank(max_duration_s=600), epoch)
        with ThreadPoolExecutor() as threads:
            move = threads.submit(rig.ask, ADA, StageMove(x_m=1e-6), epoch)
            assert old.held.wait(30)
            state, stage = rig.ask(ADA, StateGet()), rig.ask(ADA, StageGet())
            assert isinstance(state, InstrumentState)
            assert isinstance(stage, MoveReport)
            # As it was right before the move, although nobody had asked then.
            assert (state.beam_blanked, state.stage.x_m, stage.reported.x_m) == (False, 0, 0)
            later = rig.ask(ADA, StateGet())
            assert isinstance(later, InstrumentState)
            assert 0 < state.age_s < later.age_s
            assert stage.age_s > 0
            rig.ask(ADA, BeamBlank())
            blanked = rig.ask(ADA, StateGet())
            assert isinstance(blanked, InstrumentState)
            assert blanked.beam_blanked
            assert not move.done()
            old.go_on.set()
            move.result(timeout=10)
        fresh = rig.ask(ADA, StageGet())
        assert isinstance(fresh, MoveReport)
        assert (fresh.reported.x_m, fresh.age_s) == (1e-6, 0)


def test_an_instrument_that_was_never_read_is_busy_rather_than_guessed(tmp_path: Path) -> None:
    old = OneThreaded()
    old.unreadable = True
    with Rig(tmp_path, bench=old) as rig:
        with pytest.raises(TransportError, match="No answer"):
            rig.ask(ADA, StateGet())
        epoch = rig.lease(ADA, "a long move")
        with ThreadPoolExecutor() as threads:
            move = threads.submit(rig.ask, ADA, StageMove(x_m=1e-6), epoch)
            assert old.held.wait(30)
            with pytest.raises(BusyError, match=r"state\.get was not answered"):
                rig.ask(ADA, StateGet())
            assert not move.done()
            # Its stage cannot be read either: whether it has arrived is settled when it can.
            old.unreadable = False
            old.go_on.set()
            assert isinstance(move.result(timeout=10), MoveReport)


def test_a_hazardous_command_needs_an_operator_who_holds_the_lease(tmp_path: Path) -> None:
    olga = someone("olga", Role.OPERATOR)
    with Rig(tmp_path) as rig:
        epoch = rig.lease(ADA, "open the valve")
        with pytest.raises(NotAuthorisedError, match="operator"):
            rig.ask(ADA, ColumnValve(open=True), epoch)
        with pytest.raises(LeaseError):
            rig.ask(olga, ColumnValve(open=True), epoch)
        assert rig.bench.received == []
        rig.ask(olga, ColumnValve(open=True), rig.lease(olga, "open the valve", take_over=True))
        assert rig.bench.received == [ColumnValve(open=True)]


def test_a_verb_the_instrument_lacks_is_unsupported_with_or_without_the_lease(tmp_path: Path) -> None:
    bench = Bench()
    verbs = tuple(verb for verb in COMMANDS if verb != "stage.tilt")
    bench.capabilities = bench.capabilities.model_copy(update={"verbs": verbs})
    with Rig(tmp_path, bench=bench) as rig:
        for epoch in (None, rig.lease(ADA)):
            with pytest.raises(UnsupportedError, match=r"has no stage\.tilt"):
                rig.ask(ADA, StageTilt(alpha_rad=0.1), epoch)
        assert bench.received == []
