"""Workers that are forked before there is anything to do, each case in a fresh process of one thread."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(120)

BEGINNING = """
import ctypes, json, os, sys, threading, time
from pathlib import Path
import psutil
import torch
from eucentric_core import HpcSettings
from eucentric_hpc import WorkerLostError, open_executor
from eucentric_hpc.executors import forked_workers

folder = Path(sys.argv[1])
log = folder / "aside" / "workers-1.stderr"

def settings(**changes):
    return HpcSettings.model_validate({"executor": "processes", "workers": 2, "retries": 0, **changes})

def children():
    # Spawning starts a tracker, one for each interpreter, which ends with it. In two pieces here: the command
    # line of a forked process is this very text.
    tracker = "multiprocessing.resource_tracker " + "import main"
    return sorted(one.pid for one in psutil.Process().children() if tracker not in " ".join(one.cmdline()))

if __name__ == "__main__":
"""


def told(folder: Path, body: str) -> Any:
    """What a script prints as JSON in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + body, str(folder)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_first_executor_has_them_and_they_share_the_cores(tmp_path: Path) -> None:
    said = told(
        tmp_path,
        """
    with forked_workers(settings(), log) as forked:
        before = children()
        with open_executor(settings(), folder / "run") as executor:
            pids = {executor.submit(os.getpid).result() for _ in range(20)}
            threads = executor.submit(torch.get_num_threads).result()
            variable = executor.submit(os.getenv, "OMP_NUM_THREADS").result()
        after = children()
        with open_executor(settings(), folder / "second") as executor:
            second = executor.submit(os.getpid).result()
    print(json.dumps([forked, before, sorted(pids), threads, variable, after, second]))
""",
    )
    forked, before, pids, threads, variable, after, second = said
    assert forked is True
    assert len(before) == 2
    assert set(pids) <= set(before)
    assert (threads, variable) == (1, "1")
    assert after == []
    assert second not in before


def test_one_that_crashes_leaves_its_last_words_and_others_take_its_place(tmp_path: Path) -> None:
    said = told(
        tmp_path,
        """
    with forked_workers(settings(), log), open_executor(settings(), folder / "run") as executor:
        try:
            executor.submit(ctypes.string_at, 0).result()
        except WorkerLostError as error:
            words = error.details["log_tail"]
        print(json.dumps([words, executor.submit(abs, -3).result(), log.exists()]))
""",
    )
    words, answer, left = said
    assert "Segmentation fault" in words
    assert (answer, left) == (3, False)


@pytest.mark.parametrize(
    ("changes", "thread"), [({"executor": "parsl-local"}, False), ({}, True)], ids=["parsl", "threads"]
)
def test_where_they_are_of_no_use_or_do_harm_none_is_forked(
    tmp_path: Path, changes: dict[str, str], thread: bool
) -> None:
    said = told(
        tmp_path,
        f"""
    stop = threading.Event()
    if {thread}:
        threading.Thread(target=stop.wait).start()
    with forked_workers(settings(**{changes!r}), log) as forked:
        print(json.dumps([forked, children()]))
    stop.set()
""",
    )
    assert said == [False, []]


def test_those_that_nobody_takes_end_with_the_block(tmp_path: Path) -> None:
    said = told(
        tmp_path,
        """
    with forked_workers(settings(), log):
        before = children()
        with open_executor(settings(workers=1), folder / "run") as executor:
            other = executor.submit(os.getpid).result()
    print(json.dumps([len(before), other in before, children(), log.exists()]))
""",
    )
    assert said == [2, False, [], False]


def test_they_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = """
    with forked_workers(settings(), log):
        print(json.dumps(children()), flush=True)
        time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", BEGINNING + script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        workers = [psutil.Process(pid) for pid in json.loads(owner.stdout.readline())]
        owner.kill()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
