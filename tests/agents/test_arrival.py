"""A move has arrived when the stage is where it was sent, twice in a row; its own word is not enough."""

from __future__ import annotations

import threading
import time

import pytest

from eucentric_agents.control._arrival import LONGEST_S, PATIENCE_S, require_arrival
from eucentric_agents.drivers import MoveHaltedError
from eucentric_core import Capabilities, MoveFailedError, StagePosition, UnsupportedError
from eucentric_core.vocabulary import (
    Command,
    CommandResult,
    MoveReport,
    ScanAbort,
    StageGet,
    StageMove,
    StageMoveBy,
    StageTilt,
)

from .rig import Opened, OpenTwin

TOLERANCE_M = 2e-9


class SlowStage:
    """An instrument with nothing but a stage whose moves return at once; time is the test's.

    Args:
        speed_m_per_s: how fast x goes (the tilt goes as many mrad as x goes micrometres).
        stuck_at_m: where x stops for good.
        encoder_m: step of what it reports.
        off_m: how far x truly is from what it reports.
        measured: whether it knows where it truly is.
        clip_m: x beyond this is clipped without a word.
        swing_m: how far it swings about its target when it comes there, for a second.
    """

    def __init__(
        self,
        *,
        speed_m_per_s: float = 1e-7,
        stuck_at_m: float | None = None,
        encoder_m: float = 0.0,
        off_m: float = 0.0,
        measured: bool = False,
        clip_m: float = 1e-3,
        swing_m: float = 0.0,
    ) -> None:
        self.capabilities = Capabilities(
            instrument="slow", model="slow", simulated=True, verbs=("stage.get", "stage.move"), streams=()
        )
        self.now_s = 0.0
        self.readings = 0
        self._speed = speed_m_per_s
        self._stuck_at_m = stuck_at_m
        self._encoder_m = encoder_m
        self._off_m = off_m
        self._measured = measured
        self._clip_m = clip_m
        self._swing_m = swing_m
        self._commanded = StagePosition()
        self._began_s = 0.0
        self._from = StagePosition()

    def clock(self) -> float:
        """Seconds so far."""
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass."""
        self.now_s += duration_s

    def execute(self, command: Command) -> CommandResult:
        """Move, or say where it is."""
        if isinstance(command, StageGet):
            self.readings += 1
            return self.report()
        here = self._position()
        if isinstance(command, StageMove):
            named = command.model_dump(exclude={"verb"}, exclude_none=True)
        elif isinstance(command, StageMoveBy):
            named = {"x_m": self._commanded.x_m + (command.dx_m or 0.0)}
        elif isinstance(command, StageTilt):
            named = command.model_dump(exclude={"verb"}, exclude_none=True)
        else:
            raise UnsupportedError("No.", safe="-", next_step="-")
        if "x_m" in named:
            named["x_m"] = max(-self._clip_m, min(self._clip_m, named["x_m"]))
        self._commanded = self._commanded.model_copy(update=named)
        self._from, self._began_s = here, self.now_s
        return self.report()

    def abort(self) -> None:
        """Nothing scans."""

    def safe_state(self) -> None:
        """Nothing moves by itself."""

    def close(self) -> None:
        """Nothing is held."""

    def report(self) -> MoveReport:
        """Where it is now."""
        position = self._position()
        step = self._encoder_m
        x_m = position.x_m if step == 0 else round(position.x_m / step) * step
        return MoveReport(
            commanded=self._commanded,
            reported=position.model_copy(update={"x_m": x_m}),
            actual=position.model_copy(update={"x_m": x_m + self._off_m}) if self._measured else None,
            tolerance_m=TOLERANCE_M,
            settle_time_s=0.1,
        )

    def _position(self) -> StagePosition:
        elapsed_s = self.now_s - self._began_s
        x = _towards(self._from.x_m, self._commanded.x_m, self._speed * elapsed_s)
        alpha = _towards(self._from.alpha_rad, self._commanded.alpha_rad, 1e3 * self._speed * elapsed_s)
        if self._stuck_at_m is not None:
            x = min(x, self._stuck_at_m)
        if x == self._commanded.x_m and elapsed_s < 1.0:
            # Now here, now there.
            x += self._swing_m * (-1) ** self.readings
        return self._commanded.model_copy(update={"x_m": x, "alpha_rad": alpha})


def _towards(start: float, target: float, way: float) -> float:
    return target if abs(target - start) <= way else start + way * (1 if target > start else -1)


def moved(stage: SlowStage, command: Command) -> MoveReport:
    """Send a move and wait for its arrival."""
    report = stage.execute(command)
    assert isinstance(report, MoveReport)
    return require_arrival(stage, command, report, clock=stage.clock, sleep=stage.sleep)


@pytest.mark.parametrize("command", [StageMove(x_m=3e-6), StageMoveBy(dx_m=-3e-6), StageTilt(alpha_rad=4e-3)])
def test_a_stage_that_answers_early_is_waited_for_as_long_as_it_comes_nearer(command: Command) -> None:
    stage = SlowStage(speed_m_per_s=1e-7)
    report = moved(stage, command)
    assert 29 < stage.now_s < 31
    assert report.reported.x_m == pytest.approx(report.commanded.x_m, abs=TOLERANCE_M)
    assert report.reported.alpha_rad == pytest.approx(report.commanded.alpha_rad, abs=1.01e-3)


def test_two_readings_in_a_row_must_agree() -> None:
    stage = SlowStage(speed_m_per_s=1e3)
    moved(stage, StageMove(x_m=1e-6))
    assert stage.readings >= 1
    # Every other reading is good: not one of them counts.
    stage = SlowStage(speed_m_per_s=1e3, swing_m=1e-8)
    moved(stage, StageMove(x_m=1e-6))
    assert stage.now_s >= 1.0


def test_a_stage_that_sticks_on_the_way_is_an_error_that_says_where_it_stands() -> None:
    stage = SlowStage(stuck_at_m=2e-7)
    with pytest.raises(MoveFailedError, match=r"x_m = 1\.000000e-06 m and reports 2\.000000e-07") as failed:
        moved(stage, StageMove(x_m=1e-6))
    assert 2.0 + PATIENCE_S < stage.now_s < 3.0 + PATIENCE_S
    details = failed.value.details
    assert details["wanted"] == {"x_m": 1e-6}
    assert details["tolerance_m"] == TOLERANCE_M
    assert details["reported"]["x_m"] == pytest.approx(2e-7)  # type: ignore[index, call-overload]
    assert failed.value.next_step


def test_a_stage_that_says_arrived_but_is_measured_elsewhere_is_an_error() -> None:
    stage = SlowStage(speed_m_per_s=1e3, off_m=5e-9, measured=True)
    with pytest.raises(MoveFailedError, match="is measured at") as failed:
        moved(stage, StageMove(x_m=1e-6))
    assert failed.value.details["actual"]["x_m"] == pytest.approx(1.005e-6)  # type: ignore[index, call-overload]
    assert moved(SlowStage(speed_m_per_s=1e3, off_m=1e-9, measured=True), StageMove(x_m=1e-6)).actual


def test_a_stage_that_clips_a_coordinate_and_calls_it_done_is_an_error() -> None:
    stage = SlowStage(speed_m_per_s=1e3, clip_m=1e-6)
    with pytest.raises(MoveFailedError):
        moved(stage, StageMove(x_m=2e-6))
    assert stage.now_s == 0


def test_a_move_smaller_than_the_encoder_step_does_not_wait_for_ever() -> None:
    stage = SlowStage(speed_m_per_s=1e3, encoder_m=1e-9)
    moved(stage, StageMove(x_m=1e-10))
    assert stage.now_s < 0.1
    # An encoder coarser than the tolerance cannot confirm it: an error, and soon.
    coarse = SlowStage(speed_m_per_s=1e3, encoder_m=1e-8)
    with pytest.raises(MoveFailedError):
        moved(coarse, StageMove(x_m=4e-9))
    assert coarse.now_s < 1 + PATIENCE_S


def test_no_stage_is_waited_for_beyond_the_longest_time() -> None:
    stage = SlowStage(speed_m_per_s=1e-9)
    with pytest.raises(MoveFailedError):
        moved(stage, StageMove(x_m=1e-6))
    assert LONGEST_S < stage.now_s < LONGEST_S + 1


def test_only_the_axes_that_were_commanded_count_and_other_commands_pass() -> None:
    stage = SlowStage(stuck_at_m=0.0)
    stage.execute(StageMove(x_m=1e-6))
    moved(stage, StageMove(y_m=1e-6))
    report = stage.report()
    assert require_arrival(stage, ScanAbort(), report, clock=stage.clock, sleep=stage.sleep) is report
    assert moved(stage, StageMove()).commanded.y_m == 1e-6


# ----- a real driver, whose moves block


def arrive(opened: Opened, command: Command) -> MoveReport:
    """Move the twin and confirm it."""
    report = opened.instrument.execute(command)
    assert isinstance(report, MoveReport)
    return require_arrival(opened.instrument, command, report)


def test_the_twin_arrives_within_its_tolerance_backlash_and_all(twin: OpenTwin) -> None:
    opened = twin(seed=4, stage={"speed_m_per_s": 1e-5, "settle_time_s": 0.0})
    for x_m in (2e-9, -1e-9, -1.01e-9, 5e-9):
        report = arrive(opened, StageMove(x_m=x_m, y_m=-x_m))
        assert report.actual is not None
        assert abs(report.actual.x_m - x_m) <= report.tolerance_m


def test_a_move_that_was_halted_stays_that(twin: OpenTwin) -> None:
    opened = twin(stage={"speed_m_per_s": 1e-9})
    halted: list[BaseException] = []

    def move() -> None:
        try:
            arrive(opened, StageMove(x_m=9e-9))
        except MoveHaltedError as error:
            halted.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    while mover.is_alive():
        opened.instrument.safe_state()
        time.sleep(0.01)
    assert len(halted) == 1
