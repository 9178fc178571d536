"""One contract for everything behind `open_executor`."""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import psutil
import pytest

from eucentric_core import ConfigurationError, HpcSettings, ServiceUnavailableError, load_settings
from eucentric_hpc import EXECUTORS, WorkerLostError, open_executor

from .compute_kinds import Surroundings, descendants, still_running, surroundings_of

HOLD_AN_EXECUTOR_OPEN = """
import sys, time
from pathlib import Path
from eucentric_core import HpcSettings
from eucentric_hpc import open_executor
if __name__ == "__main__":
    with open_executor(HpcSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])) as executor:
        executor.submit(abs, -1).result(timeout=100)
        print("working", flush=True)
        executor.submit(time.sleep, 600).result()
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=sorted(EXECUTORS), scope="module")
def around(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    return surroundings_of(request.param, request, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def executor(around: Surroundings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "7")
        with around.open(tmp_path_factory.mktemp("run")) as opened:
            yield opened


def wait_until(condition: Callable[[], bool], timeout_s: float = 100) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def newly_running(around: Surroundings, before: set[object]) -> dict[object, str]:
    return {key: what for key, what in around.running().items() if key not in before}


class TestTasks:
    def test_a_result_comes_back(self, executor: Executor) -> None:
        assert executor.submit(math.factorial, 20).result(timeout=100) == math.factorial(20)
        assert list(executor.map(math.factorial, range(6))) == [1, 1, 2, 6, 24, 120]

    def test_arguments_by_name_arrive(self, executor: Executor) -> None:
        assert executor.submit(int, "ff", base=16).result(timeout=100) == 255

    def test_tasks_run_in_other_processes(self, executor: Executor) -> None:
        assert executor.submit(os.getpid).result(timeout=100) != os.getpid()

    def test_workers_share_the_cores(self, executor: Executor) -> None:
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(timeout=100) == "1"

    def test_an_exception_keeps_its_type_and_says_where_it_was_raised(self, executor: Executor) -> None:
        with pytest.raises(json.JSONDecodeError, match="line 1 column 2") as caught:
            executor.submit(json.loads, "{").result(timeout=100)
        assert "raw_decode" in caught.value.__notes__[0]

    def test_a_typed_error_keeps_what_it_says(self, executor: Executor) -> None:
        with pytest.raises(ConfigurationError) as caught:
            executor.submit(load_settings, Path("/nowhere.toml")).result(timeout=100)
        assert caught.value.what == "Settings file /nowhere.toml does not exist."
        assert caught.value.next_step == "check the path, or leave --config out."

    def test_an_unhappy_task_leaves_the_workers_usable(self, executor: Executor) -> None:
        assert isinstance(executor.submit(json.loads, "{").exception(timeout=100), json.JSONDecodeError)
        assert executor.submit(abs, -3).result(timeout=100) == 3

    def test_a_task_that_nobody_waits_for_any_more_does_not_begin(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        busy = [executor.submit(time.sleep, 1) for _ in range(2)]
        future = executor.submit(Path.touch, tmp_path / "began")
        assert future.cancel()
        assert future.cancelled()
        for task in busy:
            task.result(timeout=100)
        assert executor.submit(abs, -1).result(timeout=100) == 1
        assert not (tmp_path / "began").exists()


def test_a_worker_that_dies_every_time_is_an_error_with_its_last_words(
    around: Surroundings, tmp_path: Path
) -> None:
    before = set(around.running())
    with around.open(tmp_path, workers=1) as executor:
        error = executor.submit(ctypes.string_at, 0).exception(timeout=200)
        assert executor.submit(abs, -3).result(timeout=200) == 3
    assert isinstance(error, WorkerLostError)
    assert error.details["tries"] == 2
    assert around.last_words in str(error)
    assert len(error.next_step) < 3000
    assert newly_running(around, before) == {}


def test_an_exception_in_the_block_ends_running_tasks(around: Surroundings, tmp_path: Path) -> None:
    before = set(around.running())

    def break_off() -> None:
        with around.open(tmp_path, workers=1) as executor:
            assert executor.submit(abs, -1).result(timeout=200) == 1
            executor.submit(time.sleep, around.endless_s)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert newly_running(around, before) == {}


def test_after_shutdown_nothing_is_taken(around: Surroundings, tmp_path: Path) -> None:
    before = set(around.running())
    with around.open(tmp_path, workers=1) as executor:
        running = executor.submit(time.sleep, around.endless_s)
        executor.shutdown(wait=False, cancel_futures=True)
        assert running.cancelled()
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(abs, -1)
    assert newly_running(around, before) == {}


def test_workers_do_not_outlive_a_killed_owner(around: Surroundings, tmp_path: Path) -> None:
    if around.globus is not None:
        pytest.skip("an endpoint's workers are its own")
    before = set(around.running())
    script = tmp_path / "owner.py"
    script.write_text(HOLD_AN_EXECUTOR_OPEN)
    words = [around.settings(workers=1).model_dump_json(), str(tmp_path / "run")]
    owner = subprocess.Popen(
        [sys.executable, str(script), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        assert owner.stdout.readline() == "working\n"
        family = psutil.Process(owner.pid).children(recursive=True)
        assert family
        owner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=100)
    assert still_running(alive) == {}
    assert wait_until(lambda: newly_running(around, before) == {}), newly_running(around, before)


def test_workers_that_do_not_come_up_are_an_error_that_names_the_log(tmp_path: Path) -> None:
    before = set(descendants())
    settings = HpcSettings(executor="parsl-local", start_timeout_s=0.01)
    opening = open_executor(settings, tmp_path)
    with pytest.raises(ServiceUnavailableError) as caught, opening:
        pytest.fail("the block must not be entered")
    assert str(tmp_path) in caught.value.next_step
    assert {pid: c for pid, c in descendants().items() if pid not in before} == {}


def test_an_unknown_executor_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no executor 'cloud'") as caught:
        open_executor(HpcSettings(executor="cloud"), tmp_path)
    assert caught.value.next_step == f"set hpc.executor to one of {', '.join(sorted(EXECUTORS))}."
