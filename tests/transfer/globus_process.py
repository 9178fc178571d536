"""Forks a process per order on stdin: it sends a batch to Globus and kills itself at a labelled step.

The environment says where the emulated service is; it lives in the process that gives the orders.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from eucentric_core import GlobusSettings, _steps
from eucentric_transfer import MoverOptions, Outgoing, RemoteFile, open_mover


def die_at(step: str, occurrence: int) -> None:
    """End this process, as a power switch would, when a step is reached so many times."""
    seen = 0

    def on_step(reached: str) -> None:
        nonlocal seen
        seen += reached == step
        if seen == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    _steps.on_step = on_step


def send(order: dict[str, Any]) -> bool:
    """Send the batch; whether all of it arrived."""
    settings = GlobusSettings.model_validate(order["settings"])
    mover = open_mover(order["address"], options=MoverOptions(globus=settings))
    files = [Outgoing(Path(source), name) for name, source in order["files"].items()]
    answers = mover.put_many(files)
    mover.close()
    return all(isinstance(answer, RemoteFile) for answer in answers)


def serve() -> None:
    """Carry out one order after the other."""
    # Imported once, before the first fork.
    import eucentric_transfer.globus  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            die_at(order["step"], order["occurrence"])
            os._exit(0 if send(order) else 1)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
