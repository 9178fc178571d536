"""Being told to stop: signals, files, and who may still write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_hpc import StopReason, stop_requests
from eucentric_hpc._stop_requests import HOLD_VARIABLE, TaskWatch, watched

WORKER = """
import os, signal, sys, time
from eucentric_hpc._stop_requests import end_when_told, stop_requests
end_when_told()
with stop_requests() as stop:
    print("holding", flush=True)
    sys.stdin.readline()
    print(stop.reason(), flush=True)
print("free", flush=True)
sys.stdin.readline()
time.sleep(600)
"""


def test_sigterm_is_held_back_inside_and_ends_the_worker_outside() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "holding\n"
        worker.send_signal(signal.SIGTERM)
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "preempted\n"
        assert worker.stdout.readline() == "free\n"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 128 + signal.SIGTERM


def test_a_worker_that_needs_its_grace_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOLD_VARIABLE, str(tmp_path))
    with stop_requests():
        assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
    assert list(tmp_path.iterdir()) == []


def test_nobody_waiting_and_a_newer_attempt_are_reasons_to_stop(tmp_path: Path) -> None:
    cancelled, attempt = tmp_path / "cancelled", tmp_path / "attempt"
    attempt.write_text("mine")
    watch = TaskWatch(cancelled=cancelled, attempt=attempt, token="mine")  # noqa: S106 - names an attempt
    with watched(watch):
        with stop_requests() as stop:
            assert stop.reason() is None
            assert stop.may_write()
        cancelled.touch()
        with stop_requests() as stop:
            assert stop.reason() is StopReason.CANCELLED
            assert stop.may_write()
        cancelled.unlink()
        attempt.write_text("another's")
        with stop_requests() as stop:
            assert stop.reason() is StopReason.SUPERSEDED
            assert not stop.may_write()
    with stop_requests() as stop:
        assert stop.reason() is None


def test_in_another_thread_the_files_alone_count(tmp_path: Path) -> None:
    cancelled = tmp_path / "cancelled"
    cancelled.touch()

    def ask() -> StopReason | None:
        with watched(TaskWatch(cancelled=cancelled)), stop_requests() as stop:
            return stop.reason()

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ask).result() is StopReason.CANCELLED
