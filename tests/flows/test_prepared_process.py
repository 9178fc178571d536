"""A process that stands by takes one flow run, and outlives nobody who could give it one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(120)

_SCRIPT = """
import asyncio, multiprocessing, os, sys, time
from eucentric_flows.launcher._prepared import prepared

async def main():
    context = multiprocessing.get_context("forkserver")
    # As the service does: otherwise the imports alone may outlast the time it has to end.
    context.set_forkserver_preload(["eucentric_flows.launcher._process"])
    one = await prepared(context, computes=False)
    print(one.process.pid, flush=True)
    match sys.argv[1]:
        case "dismissed":
            await one.dismiss()
            print(one.process.exitcode)
        case "dead":
            one.process.kill()
            one.process.join()
            print(one.give("retrain", "1", "/dev/null"))
        case "orphaned":
            os._exit(0)

if __name__ == "__main__":
    asyncio.run(main())
"""


def _told(tmp_path: Path, case: str) -> list[str]:
    # A file, because a process that is forked from another one imports what started that.
    script = tmp_path / "standing_by.py"
    script.write_text(_SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), case], stdout=subprocess.PIPE, text=True, timeout=100, check=True
    )
    return done.stdout.split()


def test_one_that_is_not_needed_ends(tmp_path: Path) -> None:
    assert _told(tmp_path, "dismissed")[1:] == ["0"]


def test_one_that_is_dead_is_noticed(tmp_path: Path) -> None:
    assert _told(tmp_path, "dead")[1:] == ["False"]


def test_one_whose_service_is_gone_ends(tmp_path: Path) -> None:
    (pid,) = map(int, _told(tmp_path, "orphaned"))
    # It holds this test's pipe open until it has ended, unless it is already gone.
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(60)
    assert not psutil.pid_exists(pid)
