"""Runs services of the data path, each in a process of its own that can be told at which step to die.

One order a line on stdin, a JSON object: `module` with a `main` or `app`, its `argv`, `kill`, and files for
its `result`, its `log` and what it `acknowledged`. What is killed is a real service with all its threads. The
place to die is one that the code names by `reached`, or any step of the interpreter inside a part of it: the
call or the return of a function, Python's (`record_shard`) or the system's (`fsync`, `write`, `replace`).

`kill` is one of
    {}                        run undisturbed
    {"label", "occurrence"}   where the code says for the n-th time that it is there
    {"part", "step"}          at the n-th step inside the files of one part, see `PARTS`
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

from eucentric_core import _steps
from eucentric_core.transport import StreamMessage, StreamSubscriber

PARTS = {
    "journal": r"/recording/_(?!ship|receipt|seal|recorder)",
    "seal": r"/recording/_seal|/eucentric_transfer/_shard",
    "ship": r"/recording/_(ship|receipt)|/eucentric_transfer/(_(?!shard)|s3/|globus/)",
    "register": r"/eucentric_data_repository/",
}
"""What a step belongs to, by the file it is in."""

_PRELOADED = ("eucentric_agents.data.__main__", "eucentric_data_repository.__main__")
# What these import late, once for all instead of once for each.
_PRELOADED_LATE = (
    "eucentric_data_repository._service",
    "eucentric_agents.recording",
    "eucentric_transfer.globus",
    "h5py",
    "hdf5plugin",
    "blosc2",
)


class Executioner:
    """Ends this process, as a power switch would, at one step of Eucentric's code.

    It also writes down what was acknowledged, before that leaves the process.
    """

    def __init__(self, kill: dict[str, Any], acknowledged: Path) -> None:
        self._kill = kill
        self._seen = 0
        self._acknowledged = acknowledged.open("a", buffering=1)
        self._received: deque[tuple[str, bytes]] = deque()
        self._is_of_part: dict[str, bool] = {}

    def take_its_place(self) -> None:
        """See everything that this process does from now on; it is one that was forked for this."""
        self._listen_to_acknowledgements()
        if "label" in self._kill:
            _steps.on_step = self._at_label
        if "part" in self._kill:
            self._pattern = re.compile(PARTS[self._kill["part"]])
            threading.setprofile(self._at_step)
            sys.setprofile(self._at_step)

    def _at_label(self, step: str) -> None:
        self._count(step == self._kill["label"], int(self._kill["occurrence"]))

    def _at_step(self, frame: FrameType, _event: str, _argument: Any) -> None:
        file = frame.f_code.co_filename
        if file not in self._is_of_part:
            self._is_of_part[file] = bool(self._pattern.search(file))
        self._count(self._is_of_part[file], int(self._kill["step"]))

    def _count(self, hit: bool, wanted: int) -> None:
        self._seen += hit
        if hit and self._seen == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    def _listen_to_acknowledgements(self) -> None:
        """What is acknowledged are the oldest of the messages that were received."""
        receive, acknowledge = StreamSubscriber.receive, StreamSubscriber.acknowledge

        def noting_receive(subscriber: StreamSubscriber, timeout_s: float) -> StreamMessage | None:
            message = receive(subscriber, timeout_s)
            if message is not None:
                self._received.append((message.stream, message.header))
            return message

        def noting_acknowledge(subscriber: StreamSubscriber, messages: int = 1, **options: bool) -> None:
            for _ in range(messages):
                stream, header = self._received.popleft()
                # What is malformed on purpose is nobody's loss.
                with suppress(ValueError, TypeError, KeyError, RecursionError):
                    self._acknowledged.write(f"{json.loads(header)['sequence']} {stream}\n")
            acknowledge(subscriber, messages, **options)

        StreamSubscriber.receive = noting_receive  # type: ignore[method-assign, assignment]
        StreamSubscriber.acknowledge = noting_acknowledge  # type: ignore[method-assign, assignment]


def run(order: dict[str, Any], parent_pid: int) -> None:
    """The service itself, to its end."""
    descriptor = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [order["module"], *(word.replace("{parent}", str(parent_pid)) for word in order["argv"])]
    os.environ.update(order["environment"])
    module = importlib.import_module(order["module"])
    Executioner(order["kill"], Path(order["acknowledged"])).take_its_place()
    try:
        (module.main if hasattr(module, "main") else module.app)()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.setprofile(None)


def keep(order: dict[str, Any]) -> None:
    """Start the service, wait for its end, and leave word of how it ended."""
    result = Path(order["result"])
    keeper_pid = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(order, keeper_pid)
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stderr.flush()
            os._exit(status)
    result.with_suffix(".pid").write_text(str(child))
    _, status = os.waitpid(child, 0)
    unfinished = result.with_suffix(".part")
    unfinished.write_text(json.dumps({"status": os.waitstatus_to_exitcode(status)}))
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
