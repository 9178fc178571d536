"""A procedure can be watched, paused, aborted and resumed, and never leaves the beam on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from eucentric_agents.procedures import (
    BlankingFailedError,
    CheckpointError,
    DirectMicroscope,
    Exposure,
    ExposureCutShortError,
    Procedure,
    ProcedureAbortedError,
    Progress,
    RunControl,
    StepRecord,
    Steps,
    run,
)
from eucentric_core import BusyError, ConfigurationError, Frame, Microscope
from eucentric_core.vocabulary import BeamBlank, Command, CommandResult

from ..rig import wait_until
from .scene import QUICK_STAGE, finished_steps, landscape, opened

SMALL = Exposure(height_px=32, width_px=32)


class Watched(DirectMicroscope):
    """Beside the instrument, and keeps a list of what it was told."""

    told: list[str]

    def execute(self, command: Command) -> CommandResult:
        self.__dict__.setdefault("told", []).append(command.verb)
        return super().execute(command)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with Watched.open(landscape(1, QUICK_STAGE)) as scope:
        yield scope


@pytest.fixture
def scope(watched: Watched) -> Iterator[Watched]:
    watched.start_session("s")
    watched.told = []
    yield watched
    assert watched.state().beam_blanked
    watched.stop_session()


class Walk(Procedure[list[float]]):
    """Takes a frame at each place; `at` may do something in the middle of a step, beam on."""

    name = "walk"

    def __init__(self, places: int, *, at: Callable[[int, Microscope], None] | None = None) -> None:
        self._places = places
        self._at = at
        self.done: list[int] = []

    def parameters(self) -> Mapping[str, JsonValue]:
        return {"places": self._places}

    def perform(self, scope: Microscope, steps: Steps) -> list[float]:
        steps.total = self._places
        return [self._mean(scope, steps, number) for number in range(self._places)]

    def _mean(self, scope: Microscope, steps: Steps, number: int) -> float:
        record = steps.do(f"place {number}", lambda: self._visit(scope, number), picture="view")
        return float(np.asarray(record.frames["view"].array, np.float64).mean())

    def _visit(self, scope: Microscope, number: int) -> StepRecord:
        scope.move_stage(x_m=number * 1e-8)
        if self._at is not None:
            scope.unblank(max_duration_s=60)
            self._at(number, scope)
        frame = SMALL.take(scope)
        self.done.append(number)
        return StepRecord({"number": number}, {"view": frame})


def test_every_step_is_told_with_its_picture_and_the_beam_is_on_only_for_the_scan(scope: Watched) -> None:
    seen: list[Progress] = []
    blanked: list[bool] = []

    def progress(event: Progress) -> None:
        seen.append(event)
        blanked.append(scope.state().beam_blanked)

    assert len(run(Walk(3), scope, progress=progress)) == 3
    assert [(event.step, event.steps, event.message) for event in seen] == [
        (1, 3, "place 0"),
        (2, 3, "place 1"),
        (3, 3, "place 2"),
    ]
    assert str(seen[0]) == "walk 1/3: place 0"
    assert all(isinstance(event.picture, Frame) for event in seen)
    assert all(blanked)
    steering = [verb for verb in scope.told if verb not in {"state.get", "session.start"}]
    one = ["stage.move", "beam.unblank", "scan.acquire", "beam.blank"]
    assert steering[:13] == ["beam.blank", *one * 3]
    assert steering[13:15] == ["beam.blank", "scan.abort"]
    assert "beam.park" in steering[15:] or "beam.park" not in scope.capabilities.verbs


def test_a_beam_that_was_left_on_is_blanked_before_the_stage_moves(scope: Watched) -> None:
    scope.unblank(max_duration_s=60)
    run(Walk(1), scope)
    assert scope.told.index("beam.blank") < scope.told.index("stage.move")


def explode(_number: int, _scope: Microscope) -> None:
    raise ArithmeticError("an unforeseen thing")


def interrupt(_number: int, _scope: Microscope) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("mishap", "kind"), [(explode, ArithmeticError), (interrupt, KeyboardInterrupt)])
def test_whatever_ends_it_the_beam_is_blanked(
    scope: Watched, mishap: Callable[[int, Microscope], None], kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        run(Walk(2, at=mishap), scope)
    assert "beam.blank" in scope.told[scope.told.index("beam.unblank") :]
    assert "scan.abort" in scope.told


def test_what_the_progress_callback_raises_ends_it_safely(scope: Watched) -> None:
    def progress(_event: Progress) -> None:
        raise ArithmeticError("the plot window is gone")

    with pytest.raises(ArithmeticError):
        run(Walk(2), scope, progress=progress)


class NoBlanking(Watched):
    """Its blanker works once and is stuck from then on."""

    refusals = 0

    def blank(self) -> None:
        if "beam.blank" in self.told:
            self.refusals += 1
            raise BusyError("the blanker is stuck", safe="-", next_step="-")
        super().blank()


def test_a_blanker_that_fails_is_the_error_and_the_first_one_is_its_cause() -> None:
    with NoBlanking.open(landscape(1, QUICK_STAGE)) as scope:
        scope.start_session("s")
        with pytest.raises(BlankingFailedError, match="stuck") as failed:
            run(Walk(1, at=explode), scope)
        assert isinstance(failed.value.__cause__, ArithmeticError)
        assert "UNKNOWN" in failed.value.safe
        assert scope.refusals == 2
        assert "scan.abort" in scope.told


class Impatient(Watched):
    """The user presses Ctrl-C while the beam is being blanked at the end."""

    presses = 0

    def blank(self) -> None:
        # The first is before the first move, the second ends the exposure, the third belongs to unstaging.
        if self.told.count("beam.blank") == 2 and self.presses == 0:
            self.presses += 1
            raise KeyboardInterrupt
        super().blank()


def test_an_impatient_user_is_heard_after_the_beam_is_blanked() -> None:
    with Impatient.open(landscape(1, QUICK_STAGE)) as scope:
        scope.start_session("s")
        with pytest.raises(KeyboardInterrupt):
            run(Walk(1), scope)
        assert scope.presses == 1
        assert scope.state().beam_blanked
        assert "scan.abort" in scope.told


class NoParking(Watched):
    """A remote microscope whose lease is gone: it still blanks, but steers no more."""

    def park_beam(self, *, y_fraction: float, x_fraction: float) -> None:
        raise BusyError("not now", safe="-", next_step="-")


def test_what_fails_after_blanking_does_not_hide_what_happened() -> None:
    with NoParking.open(landscape(1, QUICK_STAGE)) as scope:
        if "beam.park" not in scope.capabilities.verbs:
            pytest.skip("this twin cannot park its probe")
        scope.start_session("s")
        with pytest.raises(ArithmeticError) as failed:
            run(Walk(1, at=explode), scope)
        assert any("not now" in note for note in failed.value.__notes__)
        with pytest.raises(BusyError, match="not now"):
            run(Walk(1), scope)
        assert scope.state().beam_blanked


def test_a_session_is_opened_where_there_is_none_and_closed_again() -> None:
    with Watched.open(landscape(1, QUICK_STAGE)) as scope:
        run(Walk(1), scope)
        assert scope.state().session is None
        with pytest.raises(ArithmeticError):
            run(Walk(1, at=explode), scope)
        assert scope.state().session is None
        # Blanked first: closing a session may wait for a recorder.
        assert scope.told[-1] == "state.get"
        closing = len(scope.told) - 1 - scope.told[::-1].index("session.stop")
        assert "beam.blank" in scope.told[closing - 4 : closing]


def test_pause_stands_still_blanked_and_resume_goes_on(scope: Watched) -> None:
    control = RunControl()
    messages: list[str] = []

    def progress(event: Progress) -> None:
        messages.append(event.message)
        if event.message == "place 1":
            control.pause()

    walk = Walk(4)
    thread = threading.Thread(
        target=run, args=(walk, scope), kwargs={"control": control, "progress": progress}
    )
    thread.start()
    try:
        assert control.wait_paused(20)
        assert walk.done == [0, 1]
        assert scope.state().beam_blanked
    finally:
        control.resume()
        thread.join(20)
    assert walk.done == [0, 1, 2, 3]
    assert messages == ["place 0", "place 1", "paused", "resumed", "place 2", "place 3"]


def test_abort_blanks_at_once_and_the_step_in_progress_does_not_count(scope: Watched, tmp_path: Path) -> None:
    control = RunControl()
    blanked: list[bool] = []

    def abort(number: int, scope: Microscope) -> None:
        if number == 1:
            # What another thread does while the beam is on.
            other = threading.Thread(target=control.abort)
            other.start()
            other.join(20)
            blanked.append(scope.state().beam_blanked)

    with pytest.raises(ProcedureAbortedError):
        run(Walk(3, at=abort), scope, control=control, checkpoint=tmp_path)
    assert blanked == [True]
    assert finished_steps(tmp_path) == {"0000.json"}


def test_abort_ends_a_pause(scope: Watched) -> None:
    control = RunControl()
    control.pause()
    ended: list[BaseException] = []

    def go() -> None:
        try:
            run(Walk(2), scope, control=control)
        except ProcedureAbortedError as error:
            ended.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    assert control.wait_paused(20)
    control.abort()
    thread.join(20)
    assert len(ended) == 1
    assert "scan.acquire" not in scope.told


def test_finished_steps_are_not_exposed_again(scope: Watched, tmp_path: Path) -> None:
    def fail_late(number: int, _scope: Microscope) -> None:
        if number == 3:
            raise ArithmeticError("power cut")

    with pytest.raises(ArithmeticError):
        run(Walk(5, at=fail_late), scope, checkpoint=tmp_path)
    assert len(finished_steps(tmp_path)) == 3
    before = {path: path.read_bytes() for path in tmp_path.glob("0*")}
    again = Walk(5)
    means = run(again, scope, checkpoint=tmp_path)
    assert again.done == [3, 4]
    assert len(means) == 5
    assert all(path.read_bytes() == content for path, content in before.items())
    scope.told.clear()
    assert run(Walk(5), scope, checkpoint=tmp_path) == means
    assert "beam.unblank" not in scope.told


def test_a_checkpoint_of_something_else_is_refused(scope: Watched, tmp_path: Path) -> None:
    run(Walk(1), scope, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="places"):
        run(Walk(2), scope, checkpoint=tmp_path)


def test_a_plan_that_was_refused_before_its_first_step_does_not_block_the_corrected_one(
    scope: Watched, tmp_path: Path
) -> None:
    def refuse(_number: int, _scope: Microscope) -> None:
        raise ConfigurationError("Too far.", safe="nothing was moved.", next_step="plan less.")

    with pytest.raises(ConfigurationError):
        run(Walk(9, at=refuse), scope, checkpoint=tmp_path)
    assert len(run(Walk(2), scope, checkpoint=tmp_path)) == 2
    with pytest.raises(CheckpointError, match="places"):
        run(Walk(3), scope, checkpoint=tmp_path)


@pytest.mark.parametrize("broken", ["0000.json", "0000.view.npy", "procedure.json"])
def test_a_damaged_checkpoint_is_named_and_nothing_is_exposed(
    scope: Watched, tmp_path: Path, broken: str
) -> None:
    run(Walk(2), scope, checkpoint=tmp_path)
    content = (tmp_path / broken).read_bytes()
    (tmp_path / broken).write_bytes(content[:-20])
    scope.told.clear()
    with pytest.raises(CheckpointError, match=broken):
        run(Walk(2), scope, checkpoint=tmp_path)
    assert "beam.unblank" not in scope.told


def test_two_runs_cannot_share_a_checkpoint(scope: Watched, tmp_path: Path) -> None:
    def second(number: int, _scope: Microscope) -> None:
        if number == 0:
            run(Walk(2), scope, checkpoint=tmp_path)

    with pytest.raises(CheckpointError, match="Another run"):
        run(Walk(2, at=second), scope, checkpoint=tmp_path)


class Interlocked(Watched):
    """Something blanks the beam before the first frame is complete."""

    def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6, stream: str = "haadf"
    ) -> Frame:
        frame = super().scan(height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s, stream=stream)
        self.execute(BeamBlank())
        return frame


def test_a_frame_is_thrown_away_if_the_beam_was_blanked_meanwhile(tmp_path: Path) -> None:
    with Interlocked.open(landscape(1, QUICK_STAGE)) as scope:
        with pytest.raises(ExposureCutShortError):
            run(Walk(1), scope, checkpoint=tmp_path)
        assert finished_steps(tmp_path) == set()


def test_a_direct_microscope_ends_an_exposure_by_itself(scope: Watched) -> None:
    scope.unblank(max_duration_s=0.05)
    wait_until(lambda: scope.state().beam_blanked)
    scope.unblank(max_duration_s=60)
    assert not scope.state().beam_blanked
    scope.blank()


def test_an_exposure_of_hours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="beam on"):
        _ = Exposure(height_px=8192, width_px=8192, dwell_time_s=1e-3).max_duration_s


def test_frames_reach_whoever_else_wants_them() -> None:
    seen: list[str] = []
    with opened(landscape(1, QUICK_STAGE), forward=lambda frame: seen.append(frame.header.stream)) as scope:
        run(Walk(1), scope)
    assert seen == ["truth", "haadf"]
