"""The safe state: reached for every reason there is, past every command, and on record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import JsonValue

from eucentric_agents.control import Identity, control_methods
from eucentric_core import (
    BusyError,
    CommandRefusedError,
    EucentricError,
    InterlockError,
    LeaseError,
    LeaseLost,
    NotAuthorisedError,
    RemoteError,
    Role,
    TransportError,
)
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    InstrumentState,
    OpticsDefocus,
    ScanAbort,
    ScanStream,
    StageMove,
    StageStop,
    StateGet,
)

from .rig import wait_until
from .steering_bench import Bench, Rig, someone

ADA, BOB = someone("ada"), someone("bob")
OLGA = someone("olga", Role.OPERATOR)
EVE = someone("eve", Role.VIEWER)
MOVE = StageMove(x_m=1e-6)
BEAM_ON = BeamUnblank(max_duration_s=600)
NO_ANSWER = TransportError("No answer.", safe="nothing moved.", next_step="ask again.")


class Clock:
    """Monotonic seconds that a test turns by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rig(tmp_path: Path, clock: Clock) -> Iterator[Rig]:
    with Rig(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as opened:
        yield opened


def held_at_driver(
    rig: Rig, threads: ThreadPoolExecutor, command: Command, epoch: int
) -> Future[CommandResult]:
    """Ada's command, when it has reached the driver and does not come back."""
    rig.bench.hold = command.verb
    running = threads.submit(rig.ask, ADA, command, epoch)
    assert rig.bench.held.wait(30)
    return running


def state_of(rig: Rig) -> InstrumentState:
    state = rig.ask(EVE, StateGet())
    assert isinstance(state, InstrumentState)
    return state


def stop(rig: Rig) -> None:
    """A viewer's safe stop."""
    rig.dispatcher.safe_stop(Identity(EVE, "eve"))


def test_what_a_silent_holder_left_on_is_made_safe_and_they_are_told(rig: Rig, clock: Clock) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BEAM_ON, epoch)
    clock.now_s += 1.9
    rig.dispatcher.enforce_limits()
    assert rig.beam_on()
    clock.now_s += 0.2
    rig.dispatcher.enforce_limits()
    assert not rig.beam_on()
    record = rig.records()[-1]
    assert (record.action, record.epoch) == ("lease.silent", epoch)
    assert record.details["holder"] == "ada"
    assert (record.details["beam_blanked"], record.details["scanning"]) == (True, False)
    ada = Identity(ADA, "ada")
    assert rig.dispatcher.leases.present(ada, epoch).made_safe == "ada was not heard of"
    assert rig.dispatcher.leases.renew(ada, epoch).made_safe is None
    rig.ask(ADA, BEAM_ON, epoch)
    clock.now_s += 11
    rig.dispatcher.enforce_limits()
    assert not rig.beam_on()
    assert rig.told()[-1] == ("agent", "lease.lost", "done")
    assert [event for event in rig.events if isinstance(event, LeaseLost)]


def test_an_operator_takes_over_from_a_scientist_once_the_instrument_is_safe(rig: Rig) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BEAM_ON, epoch)
    rig.ask(ADA, ScanStream(), epoch)
    with pytest.raises(NotAuthorisedError):
        rig.lease(BOB, take_over=True)
    assert rig.beam_on()
    new = rig.lease(OLGA, "the tip is at risk", take_over=True)
    assert new == epoch + 1
    assert not rig.beam_on()
    assert not rig.bench.scanning
    assert rig.told()[-3:] == [
        ("bob", "lease.request", "refused"),
        ("olga", "lease.taken_over", "done"),
        ("olga", "lease.request", "done"),
    ]
    taken = rig.records()[-2]
    assert taken.epoch == epoch
    assert taken.details["from"] == "ada"
    assert taken.details["for"] == "the tip is at risk"
    with pytest.raises(LeaseError, match=r"olga \(operator\) took the lease over, for the tip is at risk"):
        rig.ask(ADA, MOVE, epoch)
    (lost,) = [event for event in rig.events if isinstance(event, LeaseLost)]
    assert (lost.holder, lost.epoch) == ("ada", epoch)


def test_a_hand_over_leaves_beam_and_scan_as_they_are(rig: Rig) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BEAM_ON, epoch)
    rig.dispatcher.leases.hand_over(Identity(ADA, "ada"), epoch, "bob")
    assert rig.lease(BOB) == epoch + 1
    assert rig.beam_on()
    assert rig.bench.made_safe == 0
    with pytest.raises(LeaseError, match="handed the lease over to bob"):
        rig.ask(ADA, MOVE, epoch)


def test_a_stop_overtakes_the_command_that_is_at_the_driver(rig: Rig, threads: ThreadPoolExecutor) -> None:
    epoch = rig.lease(ADA)
    # The driver is just about to unblank when somebody stops everything.
    unblank = held_at_driver(rig, threads, BEAM_ON, epoch)
    stop(rig)
    with pytest.raises(CommandRefusedError, match="made safe meanwhile: safe stop by eve"):
        unblank.result(timeout=10)
    assert not rig.beam_on()
    assert rig.bench.made_safe == 2
    assert ("ada", "beam.unblank", "refused") in rig.told()[-2:]


def test_the_command_of_a_lease_that_was_taken_is_undone_before_the_next_holder_begins(
    rig: Rig, threads: ThreadPoolExecutor
) -> None:
    epoch = rig.lease(ADA)
    unblank = held_at_driver(rig, threads, BEAM_ON, epoch)
    assert rig.lease(OLGA, "mine", take_over=True) == epoch + 1
    assert unblank.done() or not rig.beam_on()
    with pytest.raises(LeaseError, match="olga"):
        unblank.result(timeout=10)
    assert not rig.beam_on()


def test_a_hung_driver_is_stopped_and_blanked_and_nobody_else_gets_to_steer_it(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    with Rig(tmp_path, bench=Bench(concurrent=False)) as rig:
        rig.bench.deaf = True
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        hung = held_at_driver(rig, threads, MOVE, epoch)
        # Whoever observes now waits in the same queue as the driver's own work.
        with pytest.raises(BusyError):
            rig.ask(ADA, OpticsDefocus(defocus_m=1e-9), epoch)
        watchers = [threads.submit(rig.ask, EVE, StateGet()) for _ in range(3)]
        rig.ask(EVE, BeamBlank())
        assert not rig.beam_on()
        rig.ask(EVE, ScanAbort())
        rig.ask(EVE, StageStop())
        stop(rig)
        record = rig.records()[-1]
        assert (record.who, record.action, record.outcome) == ("eve", "safe_stop", "done")
        assert record.details["beam_blanked"] is True
        with pytest.raises(BusyError, match=r"still carrying out stage\.move of ada"):
            rig.lease(OLGA, take_over=True)
        assert rig.dispatcher.leases.status().holder is None
        assert not hung.done()
        for watcher in watchers:
            watcher.result(timeout=10)
        rig.bench.go_on.set()
        with pytest.raises(LeaseError):
            hung.result(timeout=10)
        assert rig.lease(BOB) == epoch + 1


def test_what_slipped_past_the_stop_is_made_safe_again_while_it_runs(
    rig: Rig, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    rig.bench.deaf = True
    epoch = rig.lease(ADA)
    move = held_at_driver(rig, threads, MOVE, epoch)
    stop(rig)
    rig.dispatcher.enforce_limits()
    assert rig.bench.made_safe == 1
    for times in (2, 3):
        clock.now_s += 0.6
        rig.dispatcher.leases.present(Identity(ADA, "ada"), epoch)
        rig.dispatcher.enforce_limits()
        assert rig.bench.made_safe == times
    rig.bench.go_on.set()
    with pytest.raises(CommandRefusedError, match="safe stop by eve"):
        move.result(timeout=10)


@pytest.mark.parametrize("error", [NO_ANSWER, ValueError("0x80004005")])
def test_a_driver_that_fails_on_the_safe_state_is_loud_and_asked_again_until_it_succeeds(
    rig: Rig, clock: Clock, error: Exception
) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BEAM_ON, epoch)
    rig.bench.broken = error
    expected = type(error) if isinstance(error, EucentricError) else RemoteError
    with pytest.raises(expected):
        stop(rig)
    assert rig.told()[-2:] == [("agent", "safe_state", "failed"), ("eve", "safe_stop", "failed")]
    fault = state_of(rig).fault
    assert fault is not None
    assert fault.code == expected.code
    ping = control_methods(rig.dispatcher, rig.bench.capabilities, lambda: "ready")(EVE)["ping"]
    assert str(ping({})["state"]).startswith("the instrument could not be made safe")
    with pytest.raises(CommandRefusedError, match="could not be made safe"):
        rig.ask(ADA, MOVE, epoch)
    on_record = len(rig.records())
    for _ in range(20):
        clock.now_s += 0.3
        rig.dispatcher.leases.renew(Identity(ADA, "ada"), epoch)
        rig.dispatcher.enforce_limits()
    assert len(rig.records()) == on_record
    rig.bench.broken = None
    clock.now_s += 1
    rig.dispatcher.leases.renew(Identity(ADA, "ada"), epoch)
    rig.dispatcher.enforce_limits()
    assert not rig.beam_on()
    assert rig.told()[-1] == ("agent", "safe_state", "done")
    assert state_of(rig).fault is None
    assert ping({})["state"] == "ready"
    rig.ask(ADA, MOVE, epoch)


def test_a_lease_is_not_given_on_before_the_instrument_is_safe(rig: Rig, clock: Clock) -> None:
    rig.lease(ADA)
    rig.bench.broken = NO_ANSWER
    with pytest.raises(TransportError):
        rig.lease(OLGA, take_over=True)
    for who in (ADA, BOB, OLGA):
        with pytest.raises(LeaseError, match="ada has just lost the lease"):
            rig.lease(who)
    rig.bench.broken = None
    clock.now_s += 1.1
    rig.dispatcher.enforce_limits()
    assert rig.lease(BOB) == 2


def test_the_time_limit_of_an_unblanked_beam_is_kept_even_by_a_blanker_that_fails(
    rig: Rig, clock: Clock
) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BeamUnblank(max_duration_s=1), epoch)
    clock.now_s += 1
    rig.dispatcher.enforce_limits()
    assert not rig.beam_on()
    assert rig.bench.made_safe == 0
    blanked = rig.records()[-1]
    assert blanked.details == {
        "reason": "the time limit of beam.unblank",
        "beam_blanked": True,
        "scanning": False,
    }
    rig.ask(ADA, BeamUnblank(max_duration_s=1), epoch)
    rig.bench.unblankable = NO_ANSWER
    clock.now_s += 1
    rig.dispatcher.enforce_limits()
    assert rig.bench.made_safe == 1
    assert not rig.beam_on()
    with pytest.raises(TransportError):
        rig.ask(EVE, BeamBlank())
    assert rig.told()[-1] == ("eve", "beam.blank", "failed")


def test_a_beam_that_comes_on_while_somebody_blanks_keeps_its_time_limit(
    rig: Rig, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    epoch = rig.lease(ADA)
    unblank = held_at_driver(rig, threads, BeamUnblank(max_duration_s=1), epoch)
    # The driver blanks first and unblanks then.
    rig.ask(EVE, BeamBlank())
    rig.bench.go_on.set()
    unblank.result(timeout=10)
    assert rig.beam_on()
    clock.now_s += 1
    rig.dispatcher.enforce_limits()
    assert not rig.beam_on()


def test_the_agents_own_stop_is_on_record_with_beam_and_scan(rig: Rig) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, BEAM_ON, epoch)
    rig.dispatcher.make_safe("the agent stops")
    assert rig.records()[-1].details == {
        "reason": "the agent stops",
        "beam_blanked": True,
        "scanning": False,
    }
    assert rig.dispatcher.leases.present(Identity(ADA, "ada"), epoch).made_safe == "the agent stops"


def test_the_state_before_and_after_a_command_is_on_record(rig: Rig) -> None:
    epoch = rig.lease(ADA)
    rig.ask(ADA, MOVE, epoch)
    begun, done = rig.records()[-2:]
    assert begun.before == done.before
    assert begun.after is None
    assert begun.role is Role.SCIENTIST
    assert begun.details["fingerprint"] == "ab" * 32
    assert begun.before is not None
    assert done.after is not None
    stages = begun.before["stage"], done.after["stage"]
    assert [stage["x_m"] for stage in stages if isinstance(stage, dict)] == [0.0, 1e-6]
    # A zero is on record; only what was not read is missing.
    assert [stage["alpha_rad"] for stage in stages if isinstance(stage, dict)] == [0.0, 0.0]
    assert begun.before["age_s"] == 0.0
    optics = begun.before["optics"]
    assert isinstance(optics, dict)
    assert None not in optics.values()
    assert max(len(line) for line in rig.log.read_text().splitlines()) < 2000


@dataclass(frozen=True)
class Trip:
    """What tripped."""

    interlock: str = "dose.region"
    what: str = "The dose budget of this region is nearly spent."
    next_step: str = "move on."


@dataclass
class Limits:
    """Interlocks as a test sets them."""

    refuse: bool = False
    trip: Trip | None = None
    broken: bool = False
    asked: list[tuple[str, bool, str]] = field(default_factory=list)

    def admit(self, command: Command, state: InstrumentState) -> None:
        self.asked.append((command.verb, state.beam_blanked, threading.current_thread().name))
        if self.refuse:
            raise InterlockError("Too far.", safe="nothing moved.", next_step="stay inside.")

    watch_beam = True

    def observe(self, state: InstrumentState) -> Trip | None:
        if self.broken:
            raise ZeroDivisionError
        return None if state.beam_blanked else self.trip

    def show(self) -> dict[str, JsonValue]:
        return {"limits": {"x_m": 1e-6}}

    def tighten(self, changes: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if "x_m" not in changes:
            raise CommandRefusedError("Unknown.", safe="nothing was changed.", next_step="correct it.")
        return changes


def test_interlocks_are_asked_right_before_the_driver_with_a_fresh_state(tmp_path: Path) -> None:
    limits = Limits()
    with Rig(tmp_path, interlocks=limits) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        rig.ask(ADA, MOVE, epoch)
        assert [asked[:2] for asked in limits.asked] == [("beam.unblank", True), ("stage.move", False)]
        assert {asked[2].startswith("driver") for asked in limits.asked} == {True}
        limits.refuse = True
        received = len(rig.bench.received)
        with pytest.raises(InterlockError):
            rig.ask(ADA, MOVE, epoch)
        rig.ask(EVE, BeamBlank())
        assert [command.verb for command in rig.bench.received[received:]] == ["beam.blank"]
        assert ("ada", "stage.move", "refused") in rig.told()


def test_a_command_is_refused_whose_limits_cannot_be_checked(tmp_path: Path) -> None:
    bench = Bench()
    bench.capabilities = bench.capabilities.model_copy(update={"verbs": ("stage.move",)})
    with Rig(tmp_path, bench=bench, interlocks=Limits()) as rig:
        epoch = rig.lease(ADA)
        with pytest.raises(InterlockError, match="could not be read"):
            rig.ask(ADA, MOVE, epoch)
        assert bench.received == []


def test_an_interlock_that_trips_makes_safe_and_shows_until_steering_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    limits = Limits(trip=Trip())
    with Rig(tmp_path, clock=clock, interlocks=limits) as rig:
        epoch = rig.lease(ADA)
        rig.dispatcher.watch_interlocks()
        assert rig.bench.made_safe == 0
        rig.ask(ADA, BEAM_ON, epoch)
        rig.dispatcher.watch_interlocks()
        assert not rig.beam_on()
        record = rig.records()[-1]
        assert (record.action, record.outcome) == ("interlock.trip", "done")
        assert record.error is not None
        assert record.error.what == Trip.what
        fault = state_of(rig).fault
        assert fault is not None
        assert (fault.code, fault.what) == ("interlock", Trip.what)
        shown = rig.dispatcher.interlocks.show()
        assert shown["limits"] == {"x_m": 1e-6}
        assert isinstance(shown["trips"], list)
        assert [trip["interlock"] for trip in shown["trips"] if isinstance(trip, dict)] == ["dose.region"]
        made_safe = rig.dispatcher.leases.present(Identity(ADA, "ada"), epoch).made_safe
        assert made_safe == f"interlock dose.region: {Trip.what}"
        rig.ask(ADA, MOVE, epoch)
        assert state_of(rig).fault is None


def test_interlocks_that_fail_themselves_end_the_beam_they_can_no_longer_watch(tmp_path: Path) -> None:
    with Rig(tmp_path, interlocks=Limits(broken=True)) as rig:
        rig.dispatcher.watch_interlocks()
        assert rig.bench.made_safe == 0
        rig.ask(ADA, BEAM_ON, rig.lease(ADA))
        rig.dispatcher.watch_interlocks()
        assert not rig.beam_on()
        assert rig.told()[-1] == ("agent", "interlock.trip", "done")


def test_limits_are_tightened_on_record(tmp_path: Path) -> None:
    with Rig(tmp_path, interlocks=Limits()) as rig:
        rig.dispatcher.interlocks.tighten(Identity(ADA, "ada"), {"x_m": 1e-7})
        with pytest.raises(CommandRefusedError):
            rig.dispatcher.interlocks.tighten(Identity(ADA, "ada"), {"y_m": 1.0})
        assert rig.told() == [("ada", "interlocks.tighten", "done"), ("ada", "interlocks.tighten", "refused")]
        assert rig.records()[0].details["limits"] == {"x_m": 1e-7}


def test_eight_clients_racing_for_the_lease_reach_the_driver_one_epoch_after_the_other(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    clients = [someone(f"client-{number}", list(Role)[1 + number % 3]) for number in range(8)]
    stopping = threading.Event()
    epoch_of: dict[float, int] = {}

    with Rig(tmp_path) as rig:

        def steer(number: int) -> None:
            serial = 0
            while not stopping.is_set():
                try:
                    epoch = rig.lease(clients[number], take_over=number % 2 == 0)
                except EucentricError:
                    stopping.wait(0.002)
                    continue
                for _ in range(3):
                    serial += 1
                    defocus_m = (number * 10_000 + serial) * 1e-10
                    epoch_of[defocus_m] = epoch
                    try:
                        rig.ask(clients[number], OpticsDefocus(defocus_m=defocus_m), epoch)
                    except (LeaseError, BusyError, CommandRefusedError):
                        continue
                try:
                    rig.dispatcher.leases.release(Identity(clients[number], clients[number].name), epoch)
                except LeaseError:
                    continue

        with ThreadPoolExecutor(8) as racing:
            runs = [racing.submit(steer, number) for number in range(8)]
            wait_until(lambda: len(rig.bench.received) > 150, within_s=30)
            stopping.set()
            for run in runs:
                run.result(timeout=30)
        epochs = [
            epoch_of[command.defocus_m]
            for command in rig.bench.received
            if isinstance(command, OpticsDefocus)
        ]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) > 8
