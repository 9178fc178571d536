"""Retrainings on a real Slurm whose jobs are preempted, killed, out of time, or lose their node.

Each is followed to the registry: whatever happened, its trigger has led to one version, of a model that is
the same as without faults.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from eucentric_core import HpcSettings, Settings, TrustedKeys, load_settings, sha256_file, write_atomic
from eucentric_core.transport import find_free_port
from eucentric_flows._pipeline import Ending
from eucentric_flows.policy import ArraysInput, RetrainAction
from eucentric_flows.stages import Workspace
from eucentric_hpc import open_executor, read_progress, waiting_reason
from eucentric_model_registry import Registry, generate_keys

from ..flows.hub import Hub, running_mlflow
from ..flows.recorded_session import register_arrays
from ..servers.slurm import Slurm
from .compute_kinds import write_slurm_site
from .paced_recipe import write_paced_package
from .paced_training import CHECKPOINT_STEPS, STEPS, steps_done, train_straight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_PATIENCE_S = 300.0
_STEPS_BETWEEN_FAULTS = CHECKPOINT_STEPS + 3

TRIGGER, SESSION = "one-trigger", "images"
ACTION = RetrainAction(
    recipe="paced",
    frames=8,
    gather_timeout_s=10,
    inputs={"images": ArraysInput(stream="camera")},
    material="mos2",
)


@pytest.fixture(scope="module")
def straight() -> tuple[bytes, tuple[float, ...]]:
    result = train_straight()
    return result.weights, result.losses


@pytest.fixture(scope="module")
def hub_settings(someone_elses_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A hub with MLflow, keys, a session to learn from and the recipe."""
    home = tmp_path_factory.mktemp("hub")
    (home / "site").symlink_to(someone_elses_site)
    write_paced_package(someone_elses_site)
    mlflow_url = f"http://127.0.0.1:{find_free_port()}"
    settings = load_settings(flags={"home": str(home), "hub": {"mlflow_url": mlflow_url}}, environment={})
    generate_keys(settings.signing_key_path, settings.trusted_keys_path)
    register_arrays(settings.repository_path, SESSION, [{"camera": np.eye(4, dtype=np.float32)}] * 8)
    with running_mlflow(settings), pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(someone_elses_site))
        yield settings


class Stage:
    """One retraining whose training runs on a cluster, with somebody who breaks things."""

    def __init__(self, slurm: Slurm, settings: Settings, model: str, folder: Path) -> None:
        self.slurm = slurm
        self.settings = settings
        self.model = model
        self.folder = folder
        self.work = Workspace.of(settings, model, TRIGGER).training
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

    def train(self, faults: list[str]) -> Ending:
        """Retrain for one trigger, with one fault after the other; the version that it led to."""
        more = f"export PYTHONPATH=$PYTHONPATH:{self.settings.home / 'site'}"
        site = write_slurm_site(self.folder / "site.toml", worker_init=more)
        settings = HpcSettings(executor="parsl-slurm", workers=1, site=str(site), retries=5, grace_s=30)
        try:
            with ThreadPoolExecutor(1) as flow, open_executor(settings, self.folder / "run") as executor:
                ending = flow.submit(self.retrain, executor)
                for number, fault in enumerate(faults, start=1):
                    # Slurm looks at time limits every half minute; there must be steps left by then.
                    self.work.mkdir(exist_ok=True)
                    write_atomic(self.work / "slow", b"0.5" if fault == "run_out_of_time" else b"0.1")
                    self.await_steps(self.work, attempts=number, future=ending)
                    getattr(self, fault)()
                    self.await_attempt(self.work, number + 1, ending, lambda: waiting_reason(executor))
                (self.work / "slow").unlink(missing_ok=True)
                ended = ending.result(timeout=_PATIENCE_S)
                # The same trigger again, as after a flow that was killed at its very end.
                assert flow.submit(self.retrain, executor).result(timeout=_PATIENCE_S) == ended
            return ended
        finally:
            if self.dark is not None:
                self.slurm.restore_power(self.dark)

    def retrain(self, executor: Executor) -> Ending:
        """Carry the retraining out, in the thread of a flow."""
        hub = Hub(self.settings, executor)
        try:
            return hub.retrain(TRIGGER, SESSION, ACTION, model=self.model)
        finally:
            hub.site.outbox.close()

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
    stage: Stage, ending: Ending, straight: tuple[bytes, tuple[float, ...]], faults: list[str], folder: Path
) -> None:
    """The training is the same as without faults, no step too many was lost, and one version came of it."""
    weights, losses = straight
    work = stage.work
    assert (work / "member.safetensors").read_bytes() == weights
    (recorded,) = (work / "tasks").glob("*.result.json")
    result = json.loads(recorded.read_text())
    assert result["sha256"] == sha256_file(work / "member.safetensors")
    assert tuple(result["losses"]) == losses
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
    require_one_version(stage, ending, losses, folder)


def require_one_version(stage: Stage, ending: Ending, losses: tuple[float, ...], folder: Path) -> None:
    """MLflow holds one version, signed, whose model is what the training made."""
    registry = Registry(stage.settings.hub.mlflow_url, TrustedKeys.read(stage.settings.trusted_keys_path))
    assert [version.version for version in registry.versions(stage.model)] == [1]
    assert (ending.outcome, ending.version) == ("promoted", 1), ending.reason
    manifest = registry.download(stage.model, 1, folder)
    assert manifest.lineage.trigger_id == TRIGGER
    (mean,) = load_file(folder / "mean.safetensors").values()
    assert mean.tolist() == np.array([losses], np.float32).tolist()


def test_a_training_survives_one_of_each(
    slurm: Slurm, hub_settings: Settings, straight: tuple[bytes, tuple[float, ...]], tmp_path: Path
) -> None:
    faults = ["terminate", "kill", "run_out_of_time", "lose_node"]
    stage = Stage(slurm, hub_settings, "one-of-each", tmp_path)
    ending = stage.train(faults)
    check(stage, ending, straight, faults, tmp_path / "bundle")
    assert any(reason.startswith("queued in Slurm: ") for reason in stage.waited_for)


@pytest.mark.usefixtures("nightly")
@pytest.mark.parametrize("times", [0, 1, 2, 3])
@pytest.mark.parametrize("fault", ["terminate", "kill", "run_out_of_time", "lose_node"])
def test_every_fault_several_times(
    fault: str,
    times: int,
    slurm: Slurm,
    hub_settings: Settings,
    straight: tuple[bytes, tuple[float, ...]],
    tmp_path: Path,
) -> None:
    stage = Stage(slurm, hub_settings, f"{fault}-{times}", tmp_path)
    ending = stage.train([fault] * times)
    check(stage, ending, straight, [fault] * times, tmp_path / "bundle")
