"""A worker of this machine is told to stop in the middle of a training, and the training goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric_core import HpcSettings
from eucentric_hpc import open_executor

from .paced_training import STEPS, paced_training_task, steps_done, train_straight

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["processes", "parsl-local"])
def test_it_leaves_a_checkpoint_and_not_a_step_is_lost(
    kind: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))
    work = tmp_path / "work"
    work.mkdir()
    (work / "slow").write_text("0.05")
    settings = HpcSettings(executor=kind, workers=1, retries=1)
    with open_executor(settings, tmp_path / "run") as executor:
        future = executor.submit(paced_training_task, str(work))
        wait_until(lambda: future.done() or any(len(steps) > 13 for steps in steps_done(work)))
        attempt = json.loads((work / "attempts").read_text())["attempt"]
        os.kill(int(attempt.split("-")[0]), signal.SIGTERM)
        (work / "slow").unlink()
        future.result(timeout=120)
    first, second = steps_done(work)
    assert second[0] == first[-1] + 1 < STEPS
    assert (work / "member.safetensors").read_bytes() == train_straight().weights
