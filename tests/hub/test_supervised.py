"""A real process under supervision: started after its needs, again when it ends, in the end given up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric.hub._restarts import Restarts
from eucentric.hub._supervised import Supervised

LASTS = "import signal, pathlib, os; pathlib.Path('{mark}').write_text(str(os.getpid())); signal.pause()"
ENDS = "import sys; print('no room for the index'); sys.exit(3)"


@contextmanager
def supervised(folder: Path, code: str, *, most: int = 2) -> Iterator[Supervised]:
    service = Supervised(
        "mlflow", (sys.executable, "-c", code), folder / "mlflow.log", Restarts(most, within_s=600.0)
    )
    try:
        yield service
    finally:
        service.stop()


def until(
    service: Supervised, state: str, *, answers: Callable[[], bool], now_s: float, needs: bool = True
) -> None:
    """Step with a clock that stands until the state is there."""
    deadline = time.monotonic() + 60
    while service.state != state:
        assert time.monotonic() < deadline, service.view
        service.step(now_s, needed_are_up=needs, answers=answers)
        time.sleep(0.01)


def test_nothing_is_started_before_what_it_needs(tmp_path: Path) -> None:
    with supervised(tmp_path, LASTS.format(mark=tmp_path / "mark")) as service:
        service.step(0.0, needed_are_up=False, answers=lambda: True)
        assert service.state == "waiting"
        until(service, "up", answers=(tmp_path / "mark").exists, now_s=0.0)


def test_what_is_killed_is_started_again_after_its_rest(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with supervised(tmp_path, LASTS.format(mark=mark)) as service:
        until(service, "up", answers=lambda: mark.exists() and mark.read_text() != "", now_s=0.0)
        os.kill(int(mark.read_text()), signal.SIGKILL)
        until(service, "resting", answers=lambda: True, now_s=1.0)
        mark.unlink()
        service.step(1.4, needed_are_up=True, answers=lambda: True)
        assert service.state == "resting"
        until(service, "up", answers=mark.exists, now_s=1.6)
        assert service.view.restarts == 1


def test_what_ends_every_time_is_given_up_with_what_it_said(tmp_path: Path) -> None:
    with supervised(tmp_path, ENDS) as service:
        now_s = 0.0
        while service.state != "given up":
            now_s += 5.0
            assert now_s < 100
            service.step(now_s, needed_are_up=True, answers=lambda: False)
            if service.state == "starting":
                until(
                    service,
                    "resting" if service.view.restarts < 2 else "given up",
                    answers=lambda: False,
                    now_s=now_s,
                )
        assert "ended with exit status 3: no room for the index" in service.view.said
        assert service.view.restarts == 2


def test_what_runs_and_does_not_answer_is_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with supervised(tmp_path, LASTS.format(mark=mark)) as service:
        until(service, "up", answers=lambda: mark.exists() and mark.read_text() != "", now_s=0.0)
        pid = int(mark.read_text())
        states = []
        for second in (59.0, 61.0):
            service.step(second, needed_are_up=True, answers=lambda: False)
            states.append(service.state)
        assert states == ["up", "resting"]
        assert "did not answer for 60 s" in service.view.said
        assert not Path(f"/proc/{pid}").exists()
