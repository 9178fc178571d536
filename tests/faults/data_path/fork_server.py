"""Runs services of the data path, each in a process of its own that can be told at which step to die.

One order a line on stdin, a JSON object: `module` with a `main` or `app`, its `argv`, `kill`, and files for
its `result`, its `log` and what it `acknowledged`. What is killed is a real service with all its threads. The
place to die is a step of the interpreter inside Eucentric's own code: call or return of a function, Python's
(`record_shard`) or the system's (`fsync`, `write`, `replace`), so that every boundary between two effects can
be hit without a hook in the product.

`kill` is one of
    {}                                           run undisturbed, and count
    {"label", "occurrence"}                      where the code says for the n-th time that it is there
    {"part", "step"}                             at the n-th step inside the files of one part, see `PARTS`
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

PARTS = {
    "journal": r"/recording/_(?!ship|seal|recorder)",
    "seal": r"/recording/_seal|/eucentric_transfer/_shard",
    "ship": r"/recording/_ship|/eucentric_transfer/_(?!shard)",
    "register": r"/eucentric_data_repository/",
}
"""What a step belongs to, by the file it is in."""

_OWN = "/eucentric_"
_PRELOADED = ("eucentric_agents.data.__main__", "eucentric_data_repository.__main__")
# What these import late, once for all instead of once for each.
_PRELOADED_LATE = (
    "eucentric_data_repository._service",
    "eucentric_agents.recording",
    "h5py",
    "hdf5plugin",
    "blosc2",
)


class Executioner:
    """Counts the steps of Eucentric's code and ends this process, as a power switch would, at one of them.

    It also writes down what was acknowledged, before that leaves the process.
    """

    def __init__(self, kill: dict[str, Any], acknowledged: Path) -> None:
        self.steps = dict.fromkeys(PARTS, 0)
        self._kill = kill
        self._seen = 0
        self._acknowledged = acknowledged.open("a", buffering=1)
        self._received: deque[tuple[str, bytes]] = deque()
        self._part_of: dict[str, str | None] = {}
        self._patterns = {part: re.compile(pattern) for part, pattern in PARTS.items()}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if _OWN not in file:
            return
        if file not in self._part_of:
            parts = (part for part, pattern in self._patterns.items() if pattern.search(file))
            self._part_of[file] = next(parts, None)
        part = self._part_of[file]
        name = getattr(argument, "__name__", "") if event.startswith("c_") else frame.f_code.co_name
        if file.endswith("_subscriber.py"):
            self._note(frame, name, event, argument)
        if part is not None:
            self.steps[part] += 1
        if self._is_reached(part, name, event, frame):
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, frame: FrameType, name: str, event: str, argument: Any) -> None:
        """What is acknowledged are the oldest of the messages that were received."""
        if (name, event) == ("receive", "return") and argument is not None:
            self._received.append((argument.stream, argument.header))
        if (name, event) == ("acknowledge", "call"):
            taken = [self._received.popleft() for _ in range(frame.f_locals["messages"])]
            for stream, header in taken:
                # What is malformed on purpose is nobody's loss.
                with suppress(ValueError, TypeError, KeyError, RecursionError):
                    self._acknowledged.write(f"{json.loads(header)['sequence']} {stream}\n")

    def _is_reached(self, part: str | None, name: str, event: str, frame: FrameType) -> bool:
        if "part" in self._kill:
            wanted = self._kill["part"]
            return bool(part == wanted and self.steps[wanted] == self._kill["step"])
        if (name, event) != ("reached", "call") or frame.f_locals["step"] != self._kill.get("label"):
            return False
        self._seen += 1
        return self._seen == int(self._kill.get("occurrence", 1))


def run(order: dict[str, Any], parent_pid: int) -> dict[str, int]:
    """The service itself, to its end; what it did in steps."""
    descriptor = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [order["module"], *(word.replace("{parent}", str(parent_pid)) for word in order["argv"])]
    os.environ.update(order["environment"])
    module = importlib.import_module(order["module"])
    executioner = Executioner(order["kill"], Path(order["acknowledged"]))
    threading.setprofile(executioner)
    sys.setprofile(executioner)
    try:
        (module.main if hasattr(module, "main") else module.app)()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.setprofile(None)
    return executioner.steps


def keep(order: dict[str, Any]) -> None:
    """Start the service, wait for its end, and leave word of how it ended."""
    result = Path(order["result"])
    steps = result.with_suffix(".steps")
    keeper_pid = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            steps.write_text(json.dumps(run(order, keeper_pid)))
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stderr.flush()
            os._exit(status)
    result.with_suffix(".pid").write_text(str(child))
    _, status = os.waitpid(child, 0)
    counted = json.loads(steps.read_text()) if steps.exists() else {}
    unfinished = result.with_suffix(".part")
    unfinished.write_text(json.dumps({"status": os.waitstatus_to_exitcode(status), "steps": counted}))
    unfinished.replace(result)


def serve() -> None:
    """Fork one keeper per order, until stdin ends."""
    for name in (*_PRELOADED, *_PRELOADED_LATE):
        importlib.import_module(name)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                keep(json.loads(line))
            finally:
                os._exit(0)
        _collect(os.WNOHANG)
    _collect(0)


def _collect(options: int) -> None:
    """Take leave of the keepers that have ended, or wait for all of them."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options) != (0, 0):
            pass


if __name__ == "__main__":
    serve()
