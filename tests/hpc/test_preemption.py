"""Trainings on a real Slurm whose jobs are preempted, killed, out of time, or lose their node."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import HpcSettings, sha256_file, write_atomic
from eucentric_hpc import open_executor, read_progress, submit_once, waiting_reason

from ..servers.slurm import Slurm
from .compute_kinds import write_slurm_site
from .paced_training import (
    CHECKPOINT_STEPS,
    STEPS,
    paced_training_task,
    steps_done,
    train_straight,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_PATIENCE_S = 300.0
_STEPS_BETWEEN_FAULTS = CHECKPOINT_STEPS + 3


@pytest.fixture(scope="module")
def straight() -> tuple[bytes, tuple[float, ...]]:
    result = train_straight()
    return result.weights, result.losses


class Stage:
    """One training on a cluster, with somebody who breaks things."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm = slurm
        self.folder = folder
        self.dark: str | None = None
        self.waited_for: list[str] = []

    def job(self) -> str:
        """The job that trains, once Slurm says so; `check` sees whether a training began in a dying job."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            jobs = self.slurm.jobs()
            running = [job for job, state in jobs.items() if state == "RUNNING"]
            if len(running) == 1:
                return running[0]
            assert time.monotonic() < deadline, jobs
            time.sleep(0.1)

    def terminate(self) -> None:
        """An urgent job pushes the training back into the queue: SIGTERM, and SIGKILL 30 s later."""
        self.slurm.command(
            *("sbatch", "--partition=urgent", f"--nodes={len(self.slurm.nodes)}", "--exclusive"),
            *("--output=/dev/null", "--wrap=sleep 1"),
        )

    def kill(self) -> None:
        """Every process of the job gets SIGKILL at once."""
        self.slurm.command("scancel", "--signal=KILL", "--full", self.job())

    def run_out_of_time(self) -> None:
        """The job's time limit is reached in a few seconds."""
        # Slurm takes local time.
        ends = datetime.datetime.now() + datetime.timedelta(seconds=2)
        self.slurm.command("scontrol", "update", f"jobid={self.job()}", f"endtime={ends:%Y-%m-%dT%H:%M:%S}")

    def lose_node(self) -> None:
        """The power of the training's node goes; the one that went before is back."""
        if self.dark is not None:
            self.slurm.restore_power(self.dark)
        self.dark = self.slurm.node_of(self.job())
        self.slurm.cut_power(self.dark)

    def train(self, faults: list[str]) -> Mapping[str, Any]:
        """Train, with one fault after the other."""
        site = write_slurm_site(self.folder / "site.toml")
        settings = HpcSettings(executor="parsl-slurm", workers=1, site=str(site), retries=5, grace_s=30)
        work = self.folder / "work"
        work.mkdir()
        try:
            with open_executor(settings, self.folder / "run") as executor:
                future = submit_once(executor, work / "tasks", "member-0", paced_training_task, str(work))
                for number, fault in enumerate(faults, start=1):
                    # Slurm looks at time limits every half minute; there must be steps left by then.
                    write_atomic(work / "slow", b"0.5" if fault == "run_out_of_time" else b"0.1")
                    self.await_steps(work, attempts=number, future=future)
                    getattr(self, fault)()
                    self.await_attempt(work, number + 1, future, lambda: waiting_reason(executor))
                (work / "slow").unlink(missing_ok=True)
                result = future.result(timeout=_PATIENCE_S)
                again = submit_once(executor, work / "tasks", "member-0", paced_training_task, str(work))
                assert again.result(timeout=1) == result
            return result
        finally:
            if self.dark is not None:
                self.slurm.restore_power(self.dark)

    def await_steps(self, work: Path, attempts: int, future: Future[Any]) -> None:
        def enough() -> bool:
            done = steps_done(work)
            return len(done) == attempts and len(done[-1]) >= _STEPS_BETWEEN_FAULTS

        self._wait(enough, future)

    def await_attempt(
        self, work: Path, attempts: int, future: Future[Any], waiting: Callable[[], str | None]
    ) -> None:
        def begun() -> bool:
            if reason := waiting():
                self.waited_for.append(reason)
            return len(steps_done(work)) >= attempts

        self._wait(begun, future)

    @staticmethod
    def _wait(condition: Callable[[], bool], future: Future[Any]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert not future.done(), future.exception() or "it ended before the fault"
            assert time.monotonic() < deadline, "nothing happens any more"
            time.sleep(0.1)


def check(
    stage: Stage, result: Mapping[str, Any], straight: tuple[bytes, tuple[float, ...]], faults: list[str]
) -> None:
    """The training is the same as without faults, no step too many was lost, and there is one result."""
    work = stage.folder / "work"
    weights, losses = straight
    assert (work / "member.safetensors").read_bytes() == weights
    assert result["sha256"] == sha256_file(work / "member.safetensors")
    assert tuple(result["losses"]) == losses
    assert len(list((work / "tasks").glob("*.result.json"))) == 1
    attempts = steps_done(work)
    assert len(attempts) == len(faults) + 1
    for fault, before, after in zip(faults, attempts, attempts[1:], strict=False):
        lost = before[-1] + 1 - after[0]
        # Whoever is told has time for a checkpoint; whoever is not loses what came after the last.
        allowed = 0 if fault in ("terminate", "run_out_of_time") else CHECKPOINT_STEPS
        assert 0 <= lost <= allowed, f"{fault}: {lost} steps lost"
    assert attempts[-1][-1] == STEPS
    (progress,) = read_progress(work / "progress")
    assert (progress.step, progress.done, progress.remaining_s) == (STEPS, True, 0)
    assert stage.slurm.jobs() == {}


def test_a_training_survives_one_of_each(
    slurm: Slurm, straight: tuple[bytes, tuple[float, ...]], tmp_path: Path
) -> None:
    faults = ["terminate", "kill", "run_out_of_time", "lose_node"]
    stage = Stage(slurm, tmp_path)
    result = stage.train(faults)
    check(stage, result, straight, faults)
    assert any(reason.startswith("queued in Slurm: ") for reason in stage.waited_for)


@pytest.mark.parametrize("times", [0, 1, 2, 3])
@pytest.mark.parametrize("fault", ["terminate", "kill", "run_out_of_time", "lose_node"])
def test_every_fault_several_times(
    fault: str,
    times: int,
    slurm: Slurm,
    straight: tuple[bytes, tuple[float, ...]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if not request.config.getoption("--nightly"):
        pytest.skip("takes half an hour: --nightly")
    stage = Stage(slurm, tmp_path)
    result = stage.train([fault] * times)
    check(stage, result, straight, [fault] * times)
