"""Parsl's workers are killed while they start and no task waits for them yet: one more block is started."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from eucentric_core import HpcSettings, ServiceUnavailableError
from eucentric_hpc import open_executor

SETTINGS = HpcSettings(executor="parsl-local", workers=1, start_timeout_s=90, grace_s=1)


@contextmanager
def killing(run_dir: Path, at_most: int) -> Iterator[set[int]]:
    """Kill what starts workers from this folder as soon as it is there; gives those killed."""
    killed: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05) and len(killed) < at_most:
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if str(run_dir / "job.py") in process.cmdline() and process.pid not in killed:
                        process.kill()
                        killed.add(process.pid)
                        break

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield killed
    finally:
        over.set()
        watching.join()


@pytest.mark.timeout(300)
def test_one_block_killed_as_it_starts_is_replaced(tmp_path: Path) -> None:
    with killing(tmp_path, at_most=1) as killed, open_executor(SETTINGS, tmp_path) as executor:
        assert executor.submit(sum, (1, 2)).result(timeout=120) == 3
    assert len(killed) == 1


@pytest.mark.timeout(300)
def test_two_in_a_row_are_an_error(tmp_path: Path) -> None:
    with (
        killing(tmp_path, at_most=100) as killed,
        pytest.raises(ServiceUnavailableError, match="No worker came up"),
        open_executor(SETTINGS, tmp_path),
    ):
        pytest.fail("a worker was said to be there")
    assert len(killed) == 2
