"""The driver in a process of its own: an instrument like any, safe when its agent or itself stands still."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from eucentric_agents._child import RestartBudget
from eucentric_agents.drivers.host import Deadman, DriverHost, MadeSafe
from eucentric_core import (
    AgentSettings,
    BusyError,
    CommandRefusedError,
    ConfigurationError,
    InstrumentLostError,
    MoveHaltedError,
    NotAuthorisedError,
    Settings,
)
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    MoveReport,
    OpticsDefocus,
    OpticsReport,
    StageGet,
    StageMove,
    StageStop,
)

from .rig import SMALL, state_of, wait_until

SLOW_STAGE = {"speed_m_per_s": 1e-9}
_REPLACED_WITHIN_S = 10.0
"""A new process is started meanwhile, on a machine that may be busy; benchmarks/control.py measures it."""
"""A nanometre takes a second."""


class Watch:
    """A deadman over a beam that is on, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.beam_on = True
        self.failures = 0
        self.deadman = Deadman(self._make_safe, limit_s=2.0, clock=lambda: self.now_s)

    def _make_safe(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the blanker does not answer")
        self.beam_on = False


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A deadman that has heard the agent once."""
    watch = Watch()
    watch.deadman.start()
    watch.deadman.beat(0)
    yield watch
    watch.deadman.stop()


def test_a_silent_agent_loses_the_beam_and_hears_of_it_until_it_has_put_it_on_record(watch: Watch) -> None:
    watch.now_s = 1.9
    assert watch.deadman.beat(0) is None
    watch.now_s = 3.8
    assert watch.deadman.admit() == 0
    assert watch.beam_on
    watch.now_s = 4.0
    wait_until(lambda: not watch.beam_on)
    with pytest.raises(CommandRefusedError, match="silent"):
        watch.deadman.admit()

    told = watch.deadman.beat(0)
    assert told is not None
    assert (told.number, told.attempts, told.monotonic_s) == (1, 1, 4.0)
    assert told.silent_s == pytest.approx(2.1)
    assert watch.deadman.beat(0) == told
    assert watch.deadman.beat(1) is None
    watch.deadman.admit()


def test_an_instrument_that_cannot_be_made_safe_is_tried_again_and_nobody_steers_meanwhile(
    watch: Watch,
) -> None:
    watch.failures = 1
    assert not watch.deadman.demand("a test", within_s=0)
    watch.deadman.beat(0)
    with pytest.raises(CommandRefusedError, match="a test"):
        watch.deadman.admit()
    wait_until(lambda: not watch.beam_on)
    wait_until(lambda: watch.deadman.beat(0) is not None)
    told = watch.deadman.beat(0)
    assert told is not None
    assert (told.reason, told.attempts, told.silent_s) == ("a test", 2, None)


def test_a_command_that_ends_after_the_instrument_was_made_safe_does_not_undo_it(watch: Watch) -> None:
    admitted = watch.deadman.admit()
    watch.now_s = 3.0
    wait_until(lambda: not watch.beam_on)
    watch.deadman.beat(0)
    watch.beam_on = True  # a late unblank
    watch.deadman.settle(admitted)
    wait_until(lambda: not watch.beam_on)


def test_a_command_that_goes_on_after_the_trip_cannot_keep_the_beam_on(watch: Watch) -> None:
    admitted = watch.deadman.admit()
    watch.now_s = 3.0
    wait_until(lambda: not watch.beam_on)
    wait_until(lambda: watch.deadman.beat(0) is not None)
    for later_s in (4.0, 5.0):
        watch.beam_on = True  # a vendor's call that lets it on as it pleases
        watch.now_s = later_s
        wait_until(lambda: not watch.beam_on)
        watch.deadman.beat(0)
    told = watch.deadman.beat(1)
    assert told is None, "what is repeated is not reported again"
    watch.beam_on = True
    watch.deadman.settle(admitted)
    wait_until(lambda: not watch.beam_on)


def test_without_an_agent_the_deadman_insists_until_the_instrument_is_safe(watch: Watch) -> None:
    watch.failures = 2
    watch.deadman.insist("a test", stopping=threading.Event())
    assert not watch.beam_on


def test_a_deadman_that_insists_in_vain_can_be_ended(watch: Watch) -> None:
    watch.failures = 1_000_000
    stopping = threading.Event()
    with ThreadPoolExecutor() as threads:
        insisting = threads.submit(watch.deadman.insist, "a test", stopping=stopping)
        wait_until(lambda: watch.failures < 1_000_000)
        assert not insisting.done()
        stopping.set()
        insisting.result(timeout=10)
    assert watch.beam_on


class Rig:
    """A driver host without the rest of the agent, and what it reported."""

    def __init__(self, home: Path, *, restarts: RestartBudget | None = None, **driver: object) -> None:
        self.settings = Settings(
            home=home,
            agent=AgentSettings.model_validate({"name": "scope", "driver": {**SMALL, "seed": 5, **driver}}),
        )
        self.made_safe: list[MadeSafe] = []
        self.lost: list[str] = []
        self.restored = threading.Event()
        self.host = DriverHost(
            self.settings,
            ingest_port=find_free_port(),
            on_made_safe=self.made_safe.append,
            on_lost=self._note_lost,
            on_restored=self.restored.set,
            restarts=restarts,
        )

    def _note_lost(self, why: str) -> None:
        # As an audit log on a disk that hangs: nothing may wait for it before the instrument is safe.
        wait_until(lambda: bool(self.made_safe))
        self.lost.append(why)

    def start(self) -> None:
        """Start the host and wait until its driver is open."""
        self.host.launch()
        self.host.open()
        self.host.watch()

    @property
    def log(self) -> list[dict[str, object]]:
        """What the host has logged."""
        return [json.loads(line) for line in (self.settings.logs / "driver.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A host that the tests of this module share."""
    rig = Rig(tmp_path_factory.mktemp("host"), stage=SLOW_STAGE)
    try:
        rig.start()
        yield rig
    finally:
        rig.host.stop()
    assert list((rig.settings.home / "run").iterdir()) == []
    for out in rig.settings.logs.glob("*.out"):
        assert out.read_text() == ""


def test_a_hosted_driver_is_an_instrument_like_any(rig: Rig) -> None:
    scope = rig.host.instrument
    assert scope.capabilities.simulated
    assert rig.host.pid != os.getpid()
    assert scope.execute(OpticsDefocus(defocus_m=3e-9)) == OpticsReport(commanded=3e-9, reported=3e-9)
    assert state_of(scope).optics.defocus_m == 3e-9
    with pytest.raises(CommandRefusedError, match="outside the stage's range"):
        scope.execute(StageMove(x_m=1e-3))


def test_while_the_stage_moves_a_second_steer_is_refused_and_what_is_urgent_is_carried_out(rig: Rig) -> None:
    scope = rig.host.instrument
    scope.execute(BeamUnblank(max_duration_s=600))
    with ThreadPoolExecutor() as threads:
        move = threads.submit(scope.execute, StageMove(x_m=9e-9))
        wait_until(lambda: state_of(scope).stage.x_m > 0)
        with pytest.raises(BusyError):
            scope.execute(OpticsDefocus(defocus_m=1e-9))
        scope.execute(BeamBlank())
        assert state_of(scope).beam_blanked
        assert not move.done()
        assert isinstance(scope.execute(StageStop()), MoveReport)
        with pytest.raises(MoveHaltedError, match="halted"):
            move.result(timeout=30)
    assert isinstance(scope.execute(StageGet()), MoveReport)


def test_nobody_without_the_token_reaches_the_driver(rig: Rig) -> None:
    port = json.loads((rig.settings.home / "run" / "driver-a.json").read_text())["port"]
    stranger = PyroControlClient("127.0.0.1", port, timeout_s=20, token="guessed")  # noqa: S106
    try:
        with pytest.raises(NotAuthorisedError):
            stranger.call("safe_state", {})
    finally:
        stranger.close()
    process = psutil.Process(rig.host.pid)
    token = process.environ()["EUCENTRIC_DRIVER_TOKEN"]
    assert token not in process.cmdline()
    acquaintance = PyroControlClient("127.0.0.1", port, timeout_s=20, token=token)
    try:
        assert acquaintance.call("health", {}) == {"ok": {"state": "open"}}
    finally:
        acquaintance.close()


@pytest.mark.alone
def test_a_host_that_stands_still_is_replaced_by_one_that_makes_safe_first(rig: Rig) -> None:
    scope, first = rig.host.instrument, rig.host.pid
    assert first is not None
    scope.execute(BeamUnblank(max_duration_s=600))
    stopped_s = time.monotonic()
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(InstrumentLostError, match="driver host"):
        scope.safe_state()
    assert "did not answer" in str(rig.host.trouble)
    with pytest.raises(InstrumentLostError):
        state_of(scope)
    assert rig.restored.wait(20)
    assert rig.host.trouble is None
    assert rig.host.pid != first
    assert not psutil.pid_exists(first)
    assert state_of(scope).beam_blanked
    assert len(rig.lost) == 1
    assert [made.reason for made in rig.made_safe] == ["an earlier driver host was lost"]
    assert rig.made_safe[0].monotonic_s - stopped_s < _REPLACED_WITHIN_S
    assert rig.log[-1]["made_safe"] == rig.made_safe[0].model_dump(mode="json")
    scope.execute(OpticsDefocus(defocus_m=2e-9))


def test_a_host_that_dies_too_often_is_still_replaced_and_made_safe_but_not_steered(tmp_path: Path) -> None:
    now_s = [0.0]
    budget = RestartBudget("driver host", tmp_path, clock=lambda: now_s[0])
    while budget.left:
        budget.spend()
    rig = Rig(tmp_path, restarts=budget)
    try:
        rig.start()
        scope = rig.host.instrument
        scope.execute(BeamUnblank(max_duration_s=600))
        assert rig.host.pid is not None
        os.kill(rig.host.pid, signal.SIGKILL)
        assert rig.restored.wait(20)
        assert [made.reason for made in rig.made_safe] == ["an earlier driver host was lost"]
        assert state_of(scope).beam_blanked
        assert "steering is refused" in str(rig.host.trouble)
        with pytest.raises(CommandRefusedError, match="died 5 times"):
            scope.execute(BeamUnblank(max_duration_s=600))
        scope.execute(BeamBlank())
        now_s[0] = 601.0
        wait_until(lambda: rig.host.trouble is None)
        scope.execute(BeamUnblank(max_duration_s=600))
        rig.host.refuse_steering("the agent stops")
        with pytest.raises(CommandRefusedError, match="the agent stops"):
            scope.execute(OpticsDefocus(defocus_m=1e-9))
    finally:
        rig.host.stop()


def test_a_driver_that_cannot_be_opened_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    rig = Rig(tmp_path, seed=-1)
    try:
        rig.host.launch()
        with pytest.raises(ConfigurationError, match=r"agent\.driver\.seed"):
            rig.host.open()
        pid = rig.host.pid
    finally:
        rig.host.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)
