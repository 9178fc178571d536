"""What a slow driver, a slow disk or a busy crowd must not do: keep the beam on, or a stop waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_agents.control import AuditWriteError, Identity, Watchdog, _epoch_file
from eucentric_agents.interlocks import Interlocks, Limits
from eucentric_core import BusyError, Caller, CommandRefusedError, LeaseError, Role, write_atomic
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    InstrumentState,
    ScanAcquire,
    ScanStream,
    StageMove,
    StateGet,
)

from .rig import wait_until
from .steering_bench import Bench, Rig, someone

ADA, BOB = someone("ada"), someone("bob")
EVE = someone("eve", Role.VIEWER)
OLGA = someone("olga", Role.OPERATOR)
ADA_ID, EVE_ID = Identity(ADA, "ada"), Identity(EVE, "eve")
MOVE = StageMove(x_m=1e-6)
BEAM_ON = BeamUnblank(max_duration_s=600)


class Clock:
    """Monotonic seconds that a test turns by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class SlowToRead(Bench):
    """Its state is not read before a test lets it be, or not at all."""

    def __init__(self, *, concurrent: bool = False) -> None:
        super().__init__(concurrent=concurrent)
        self.unreadable = False
        self.slow = False
        self.reads = 0
        self.reading, self.read_on = threading.Event(), threading.Event()

    def execute(self, command: Command) -> CommandResult:
        if isinstance(command, StateGet):
            self.reads += 1
            if self.unreadable:
                raise BusyError("At work.", safe="nothing was changed.", next_step="ask again.")
            if self.slow:
                self.reading.set()
                assert self.read_on.wait(20)
        return super().execute(command)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as opened:
        yield opened


def test_a_stop_cancels_the_unblank_that_still_waits_for_its_turn(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    bench = SlowToRead()
    with Rig(tmp_path, bench=bench) as rig:
        epoch = rig.lease(ADA)
        bench.slow = True
        look = threads.submit(rig.ask, EVE, StateGet())
        assert bench.reading.wait(30)
        unblank = threads.submit(rig.ask, ADA, BEAM_ON, epoch)
        wait_until(rig.dispatcher._owner._steering.locked)
        rig.dispatcher.safe_stop(EVE_ID)
        bench.slow = False
        bench.read_on.set()
        with pytest.raises(CommandRefusedError, match="safe stop by eve"):
            unblank.result(timeout=10)
        assert isinstance(look.result(timeout=10), InstrumentState)
        assert BEAM_ON not in bench.received
        assert not rig.beam_on()


def test_a_command_that_waited_is_no_sign_of_life_of_who_gave_it(
    tmp_path: Path, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    bench = SlowToRead()
    with Rig(tmp_path, bench=bench, clock=clock) as rig:
        epoch = rig.lease(ADA)
        bench.slow = True
        threads.submit(rig.ask, EVE, StateGet())
        assert bench.reading.wait(30)
        move = threads.submit(rig.ask, ADA, MOVE, epoch)
        wait_until(rig.dispatcher._owner._steering.locked)
        clock.now_s += 2.5
        bench.slow = False
        bench.read_on.set()
        move.result(timeout=10)
        rig.dispatcher.enforce_limits()
        assert ("agent", "lease.silent", "done") in rig.told()


GENEROUS = Limits.model_validate({"dose": {"session_beam_on_s": 80_000}})


def watched(tmp_path: Path, bench: Bench, clock: Clock, limits: Limits = GENEROUS) -> Rig:
    """A rig with interlocks that have nothing against anything they can see."""
    return Rig(
        tmp_path,
        bench=bench,
        clock=clock,
        interlocks=Interlocks(limits, bench.capabilities, path=None, clock=clock),
    )


@pytest.mark.parametrize("concurrent", [True, False])
def test_a_beam_that_nobody_can_look_at_goes_off(tmp_path: Path, clock: Clock, concurrent: bool) -> None:
    bench = SlowToRead(concurrent=concurrent)
    with watched(tmp_path, bench, clock) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        bench.unreadable = True
        clock.now_s += 0.9
        rig.dispatcher.watch_interlocks()
        assert rig.beam_on()
        clock.now_s += 0.2
        rig.dispatcher.watch_interlocks()
        assert not rig.beam_on()
        assert rig.told()[-1] == ("agent", "interlock.trip", "done")
        clock.now_s += 5
        rig.dispatcher.watch_interlocks()
        assert bench.made_safe == 1


def test_where_no_limit_needs_a_look_at_the_beam_none_is_missed(tmp_path: Path, clock: Clock) -> None:
    bench = SlowToRead()
    with watched(tmp_path, bench, clock, Limits()) as rig:
        rig.ask(ADA, BEAM_ON, rig.lease(ADA))
        bench.unreadable = True
        clock.now_s += 60
        rig.dispatcher.watch_interlocks()
        assert rig.beam_on()


def test_a_blanked_instrument_may_stay_unread(tmp_path: Path, clock: Clock) -> None:
    bench = SlowToRead()
    with watched(tmp_path, bench, clock) as rig:
        rig.ask(ADA, BEAM_ON, rig.lease(ADA))
        rig.ask(EVE, BeamBlank())
        bench.unreadable = True
        clock.now_s += 60
        rig.dispatcher.watch_interlocks()
        assert bench.made_safe == 0


def test_a_long_scan_is_not_ended_for_want_of_a_look_within_its_planned_time(
    tmp_path: Path, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    bench = SlowToRead()
    with watched(tmp_path, bench, clock) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        bench.hold = "scan.acquire"
        scan = ScanAcquire(height_px=1000, width_px=1000, dwell_time_s=2e-5)
        running = threads.submit(rig.ask, ADA, scan, epoch)
        assert bench.held.wait(30)
        clock.now_s += 20
        rig.dispatcher.watch_interlocks()
        assert rig.beam_on()
        clock.now_s += 10
        rig.dispatcher.watch_interlocks()
        assert not rig.beam_on()
        with pytest.raises(LeaseError):
            running.result(timeout=10)


def test_a_stream_may_keep_its_device_from_being_read_for_one_frame(tmp_path: Path, clock: Clock) -> None:
    bench = SlowToRead()
    with watched(tmp_path, bench, clock) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        rig.ask(ADA, ScanStream(height_px=1000, width_px=1000, dwell_time_s=4e-6), epoch)
        bench.unreadable = True
        clock.now_s += 5
        rig.dispatcher.watch_interlocks()
        assert rig.beam_on()
        clock.now_s += 2
        rig.dispatcher.watch_interlocks()
        assert not rig.beam_on()


def test_one_reading_answers_everybody_who_waits_for_it(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    bench = SlowToRead()
    with Rig(tmp_path, bench=bench) as rig, ThreadPoolExecutor(12) as crowd:
        bench.slow = True
        first = threads.submit(rig.ask, EVE, StateGet())
        assert bench.reading.wait(30)
        asking = threading.Barrier(13)

        def look() -> CommandResult:
            asking.wait(10)
            return rig.ask(EVE, StateGet())

        looks = [crowd.submit(look) for _ in range(12)]
        asking.wait(10)
        in_turn = rig.dispatcher._owner._executor._work_queue
        wait_until(lambda: in_turn.qsize() > 0)
        for _ in range(50):
            assert in_turn.qsize() == 1
            time.sleep(0.002)
        bench.read_on.set()
        for answer in [first, *looks]:
            assert isinstance(answer.result(timeout=10), InstrumentState)


def test_who_releases_the_lease_leaves_nothing_running(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with Rig(tmp_path) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        rig.bench.hold = "stage.move"
        move = threads.submit(rig.ask, ADA, MOVE, epoch)
        assert rig.bench.held.wait(30)
        rig.dispatcher.leases.release(ADA_ID, epoch)
        assert not rig.beam_on()
        with pytest.raises(LeaseError, match="ada released it"):
            move.result(timeout=10)
        released = next(record for record in rig.records() if record.action == "lease.release")
        assert released.details["reason"] == "ada released the lease while a command ran"
        assert rig.lease(BOB) == epoch + 1


def given_to(rig: Rig, caller: Caller) -> bool:
    """Whether somebody gets the lease by asking now."""
    try:
        rig.lease(caller)
    except LeaseError:
        return False
    return True


def test_a_release_that_cannot_be_made_safe_ends_like_a_lost_lease(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    with Rig(tmp_path) as rig:
        epoch = rig.lease(ADA)
        rig.bench.hold = "stage.move"
        move = threads.submit(rig.ask, ADA, MOVE, epoch)
        assert rig.bench.held.wait(30)
        rig.bench.broken = ValueError("0x80004005")
        with pytest.raises(Exception, match="0x80004005"):
            rig.dispatcher.leases.release(ADA_ID, epoch)
        with pytest.raises(LeaseError, match="just lost"):
            rig.lease(BOB)
        rig.bench.broken = None
        rig.bench.go_on.set()
        assert move.exception(timeout=10)
        watchdog = Watchdog(rig.dispatcher)
        watchdog.start()
        try:
            wait_until(lambda: ("agent", "lease.lost", "done") in rig.told())
            assert rig.dispatcher.trouble is None
            wait_until(lambda: given_to(rig, BOB))
        finally:
            watchdog.stop()


def test_a_disk_that_stalls_keeps_no_stop_and_no_time_limit_waiting(
    tmp_path: Path, clock: Clock, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, content: bytes) -> None:
        stalled.set()
        assert go_on.wait(20)
        write_atomic(path, content)

    with Rig(tmp_path, clock=clock) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BeamUnblank(max_duration_s=1), epoch)
        rig.dispatcher.leases.hand_over(ADA_ID, epoch, "bob")
        monkeypatch.setattr(_epoch_file, "write_atomic", slowly)
        bob = threads.submit(rig.lease, BOB)
        assert stalled.wait(30)
        clock.now_s += 1
        rig.dispatcher.enforce_limits()
        assert not rig.beam_on()
        rig.dispatcher.safe_stop(EVE_ID)
        assert rig.bench.made_safe == 1
        for who in (OLGA, EVE):
            with pytest.raises(LeaseError, match="bob is just being given the lease"):
                rig.lease(who, take_over=True)
        with pytest.raises(LeaseError, match="bob is just being given the lease"):
            rig.ask(ADA, MOVE, epoch)
        # Whoever offers it is watched until it is given.
        clock.now_s += 2
        rig.dispatcher.enforce_limits()
        assert ("agent", "lease.silent", "done") in rig.told()
        assert not bob.done()
        go_on.set()
        assert bob.result(timeout=10) == epoch + 1


def test_an_epoch_that_cannot_be_written_leaves_the_lease_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_path: Path, _content: bytes) -> None:
        raise OSError(5, "I/O error")

    with Rig(tmp_path) as rig:
        epoch = rig.lease(ADA)
        rig.dispatcher.leases.hand_over(ADA_ID, epoch, "bob")
        with monkeypatch.context() as broken:
            broken.setattr(_epoch_file, "write_atomic", fails)
            with pytest.raises(OSError, match="I/O error"):
                rig.lease(BOB)
        rig.ask(ADA, MOVE, epoch)
        assert rig.lease(BOB) == epoch + 1


def test_a_slow_audit_disk_does_not_hold_up_the_watchdog(tmp_path: Path, clock: Clock) -> None:
    with Rig(tmp_path, clock=clock) as rig:
        epoch = rig.lease(ADA)
        rig.ask(ADA, BEAM_ON, epoch)
        with rig._audit._lock:
            rig.dispatcher.safe_stop(EVE_ID)
            clock.now_s += 2.1
            rig.dispatcher.enforce_limits()
            assert rig.bench.made_safe == 2
        wait_until(
            lambda: rig.told()[-2:] == [("eve", "safe_stop", "done"), ("agent", "lease.silent", "done")]
        )


@pytest.mark.alone
def test_a_reading_that_hangs_keeps_nobody_from_making_safe(tmp_path: Path) -> None:
    bench = SlowToRead(concurrent=True)
    with Rig(tmp_path, bench=bench, interlocks=Interlocks(Limits(), bench.capabilities, path=None)) as rig:
        watchdog = Watchdog(rig.dispatcher)
        rig.ask(ADA, BeamUnblank(max_duration_s=600), rig.lease(ADA))
        bench.slow = True
        watchdog.start()
        try:
            began_s = time.monotonic()
            wait_until(lambda: not rig.beam_on())
            assert time.monotonic() - began_s < 3
            for made_safe in (bench.made_safe + 1, bench.made_safe + 2):
                rig.dispatcher.safe_stop(EVE_ID)
                assert bench.made_safe >= made_safe
            assert time.monotonic() - began_s < 5
        finally:
            bench.read_on.set()
            watchdog.stop()


class DyingFile:
    """A file on a disk that takes nothing any more, not even a cut."""

    def write(self, line: bytes) -> int:
        raise OSError(5, "I/O error")

    def truncate(self, size: int) -> int:
        raise OSError(30, "read-only file system")


def test_a_disk_that_dies_during_a_take_over_locks_nobody_out(tmp_path: Path, clock: Clock) -> None:
    with Rig(tmp_path, clock=clock) as rig:
        rig.lease(ADA)
        file = rig._audit._file
        rig._audit._file = DyingFile()  # type: ignore[assignment]
        epoch = rig.lease(OLGA, take_over=True)
        with pytest.raises(AuditWriteError):
            rig.ask(OLGA, MOVE, epoch)
        rig._audit._file = file
        rig.ask(OLGA, MOVE, epoch)
        rig.dispatcher.leases.release(Identity(OLGA, "olga"), epoch)
        assert rig.lease(BOB) > epoch
