"""The first process of a job: starts the workers, and gives them time for checkpoints when told to stop.

Run by path from a copy in the run's folder, with the workers' own Python; it needs psutil and nothing of this
package. A batch system sends SIGTERM to every process of a job. Workers that keep checkpoints hold it back,
but Parsl's manager would die of it and take them along. So the manager ignores it, and this process, when
told to stop, halts the manager (no more tasks), tells the workers, and ends everything once none holds on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import psutil

_CONNECT_TIMEOUT_S = 3.0
_SEARCH_S = 60.0
_POLL_S = 0.1
_NOBODY_THERE = 75


class _ToldToStopError(BaseException):
    """SIGTERM came."""


def main(arguments: list[str]) -> int:
    """Run a worker pool until it ends or this job is told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--addresses", required=True, help="where whoever submitted the job listens")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True, help="seconds that workers have to hold on")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if not _somebody_there(options.addresses.split(","), options.port):
        _say(f"nobody listens at {options.addresses} port {options.port}: whoever submitted this job is gone")
        return _NOBODY_THERE
    hold = tempfile.mkdtemp(prefix="eucentric-hold-")
    try:
        return _supervise(options.command[1:], Path(hold), options.grace)
    finally:
        shutil.rmtree(hold, ignore_errors=True)


def _supervise(command: list[str], hold: Path, grace_s: float) -> int:
    # Inherited by the manager and by the workers it starts, until one of them decides otherwise.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    manager = subprocess.Popen(command, env={**os.environ, "EUCENTRIC_HOLD_DIR": str(hold)})
    try:
        signal.signal(signal.SIGTERM, _told)
        return manager.wait()
    except _ToldToStopError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(psutil.Process(manager.pid), hold, grace_s)
        return 128 + signal.SIGTERM
    finally:
        _kill_all(manager)


def _told(_number: int, _frame: FrameType | None) -> None:
    raise _ToldToStopError


def _stop(manager: psutil.Process, hold: Path, grace_s: float) -> None:
    manager.suspend()
    for worker in manager.children(recursive=True):
        try:
            worker.terminate()
        except psutil.NoSuchProcess:
            continue
    holding = [path.name for path in hold.iterdir()]
    _say(f"told to stop; {len(holding)} of the workers have {grace_s:g} s for their checkpoints")
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(_alive(int(path.name)) for path in hold.iterdir()):
        time.sleep(_POLL_S)
    late = [path.name for path in hold.iterdir() if _alive(int(path.name))]
    _say("stopped" if not late else f"stopped; {len(late)} workers were not done in time")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill_all(manager: subprocess.Popen[bytes]) -> None:
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    manager.wait()


def _somebody_there(addresses: list[str], port: int) -> bool:
    deadline = time.monotonic() + _SEARCH_S
    while True:
        for address in addresses:
            try:
                socket.create_connection((address, port), timeout=_CONNECT_TIMEOUT_S).close()
            except OSError:
                continue
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(1.0)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} job: {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
