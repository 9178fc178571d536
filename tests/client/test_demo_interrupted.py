"""Ctrl-C in the middle of the demo stops every process it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(240)


def test_ctrl_c_stops_every_process_and_removes_every_file(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "eucentric", "demo", "--picture", str(tmp_path / "loop.png")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        children = wait_for_children(demo.pid, at_least=4)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 130
    finally:
        demo.kill()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert [path.name for path in tmp_path.iterdir()] == []


def wait_for_children(pid: int, *, at_least: int) -> list[psutil.Process]:
    """Wait until the demo has started that many processes, its services' own children included."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        children = psutil.Process(pid).children(recursive=True)
        if len(children) >= at_least:
            return children
        time.sleep(0.2)
    pytest.fail(f"the demo did not start {at_least} processes")
