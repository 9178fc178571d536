"""One contract for everything behind `open_executor`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import psutil
import pytest

from eucentric_core import ConfigurationError, HpcSettings, ServiceUnavailableError, load_settings
from eucentric_hpc import EXECUTORS, WorkerLostError, open_executor

KINDS = [kind for kind in sorted(EXECUTORS) if kind in ("parsl-local", "processes")]

HOLD_AN_EXECUTOR_OPEN = """
import sys, time
from pathlib import Path
from eucentric_core import HpcSettings
from eucentric_hpc import open_executor
if __name__ == "__main__":
    with open_executor(HpcSettings(executor=sys.argv[1], workers=1), Path(sys.argv[2])) as executor:
        executor.submit(abs, -1).result(timeout=60)
        print("working", flush=True)
        executor.submit(time.sleep, 600).result()
"""


def settings(kind: str, **changes: object) -> HpcSettings:
    return HpcSettings.model_validate({"executor": kind, "workers": 2, "start_timeout_s": 110, "retries": 1, **changes})


def descendants() -> dict[int, str]:
    found: dict[int, str] = {}
    for process in psutil.Process().children(recursive=True):
        # A child may end while it is looked at; one that ended runs no more, waited for or not.
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())
    # multiprocessing keeps one tracker per interpreter; it ends with it.
    return {pid: command for pid, command in found.items() if "resource_tracker" not in command}


@pytest.fixture(params=KINDS, scope="module")
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "7")
        with open_executor(settings(request.param), tmp_path_factory.mktemp("run")) as opened:
            yield opened


def test_a_result_comes_back(executor: Executor) -> None:
    assert executor.submit(math.factorial, 20).result(timeout=60) == math.factorial(20)
    assert list(executor.map(math.factorial, range(6))) == [1, 1, 2, 6, 24, 120]


def test_tasks_run_in_other_processes(executor: Executor) -> None:
    assert executor.submit(os.getpid).result(timeout=60) != os.getpid()


def test_workers_share_the_cores(executor: Executor) -> None:
    assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(timeout=60) == "1"


def test_an_exception_keeps_its_type(executor: Executor) -> None:
    with pytest.raises(json.JSONDecodeError, match="line 1 column 2"):
        executor.submit(json.loads, "{").result(timeout=60)


def test_a_typed_error_keeps_what_it_says(executor: Executor) -> None:
    with pytest.raises(ConfigurationError) as caught:
        executor.submit(load_settings, Path("/nowhere.toml")).result(timeout=60)
    assert caught.value.what == "Settings file /nowhere.toml does not exist."
    assert caught.value.next_step == "check the path, or leave --config out."


def test_an_unhappy_task_leaves_the_workers_usable(executor: Executor) -> None:
    assert isinstance(executor.submit(json.loads, "{").exception(timeout=60), json.JSONDecodeError)
    assert executor.submit(abs, -3).result(timeout=60) == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_worker_is_an_error_and_nothing_is_left(kind: str, tmp_path: Path) -> None:
    before = set(descendants())
    with open_executor(settings(kind, workers=1), tmp_path) as executor:
        error = executor.submit(os._exit, 3).exception(timeout=60)
    assert isinstance(error, WorkerLostError)
    assert {pid: c for pid, c in descendants().items() if pid not in before} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_in_the_block_ends_running_tasks(kind: str, tmp_path: Path) -> None:
    before = set(descendants())

    def break_off() -> None:
        with open_executor(settings(kind, workers=1), tmp_path) as executor:
            assert executor.submit(abs, -1).result(timeout=60) == 1
            executor.submit(time.sleep, 600)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert {pid: c for pid, c in descendants().items() if pid not in before} == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_workers_do_not_outlive_a_killed_owner(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(HOLD_AN_EXECUTOR_OPEN)
    owner = subprocess.Popen(
        [sys.executable, str(script), kind, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        assert owner.stdout.readline() == "working\n"
        family = psutil.Process(owner.pid).children(recursive=True)
        assert family
        owner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert [" ".join(process.cmdline()) for process in alive] == []


def test_workers_that_do_not_come_up_are_an_error_that_names_the_log(tmp_path: Path) -> None:
    before = set(descendants())
    opening = open_executor(settings("parsl-local", start_timeout_s=0.01), tmp_path)
    with pytest.raises(ServiceUnavailableError) as caught, opening:
        pytest.fail("the block must not be entered")
    assert str(tmp_path) in caught.value.next_step
    assert {pid: c for pid, c in descendants().items() if pid not in before} == {}


def test_an_unknown_executor_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no executor 'cloud'") as caught:
        open_executor(settings("cloud"), tmp_path)
    assert caught.value.next_step == f"set hpc.executor to one of {', '.join(sorted(EXECUTORS))}."
