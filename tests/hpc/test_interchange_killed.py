"""Parsl's interchange is killed under running tasks: Parsl is started anew, once, and the tasks run again."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import psutil
import pytest

from eucentric_core import HpcSettings, ServiceUnavailableError
from eucentric_hpc import open_executor

SETTINGS = HpcSettings(executor="parsl-local", workers=1, start_timeout_s=90, grace_s=1)


def begun_in(folder: Path, seconds: float) -> str:
    """Say that it has begun, take its time, and tell by which file it said so."""
    said = folder / f"begun-{secrets.token_hex(8)}"
    said.touch()
    time.sleep(seconds)
    return said.name


def kill_interchange(run_dir: Path, folder: Path, before: int) -> None:
    """Wait until one more task than `before` has begun, then kill the interchange that it came through."""
    deadline = time.monotonic() + 60
    while len(list(folder.glob("begun-*"))) <= before:
        assert time.monotonic() < deadline, f"no task began; see {run_dir}"
        time.sleep(0.05)
    interchanges = [
        child
        for child in psutil.Process().children()
        if any("interchange" in word for word in child.cmdline())
    ]
    assert interchanges
    for interchange in interchanges:
        interchange.kill()


@pytest.mark.timeout(300)
def test_tasks_run_again_through_a_new_one_and_the_second_loss_is_an_error(tmp_path: Path) -> None:
    run_dir, folder = tmp_path / "run", tmp_path / "begun"
    folder.mkdir()
    with open_executor(SETTINGS, run_dir) as executor:
        task = executor.submit(begun_in, folder, 8.0)
        kill_interchange(run_dir, folder, 0)
        said = task.result(timeout=120)
        assert (folder / said).exists()
        assert len(list(folder.glob("begun-*"))) == 2

        hopeless = executor.submit(begun_in, folder, 60.0)
        kill_interchange(run_dir, folder, 2)
        with pytest.raises(ServiceUnavailableError, match="interchange ended"):
            hopeless.result(timeout=120)
