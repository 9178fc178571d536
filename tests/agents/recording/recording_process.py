"""Forks a process per order on stdin: it records, ships and registers a session, and kills itself on the way.

The place to die is one of the labelled steps (`eucentric_agents.recording.STEPS`), or a step of the
interpreter inside Eucentric's own code, in any thread: the call or the return of a function, Python's or the
system's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from eucentric_core import Frame, SessionStarted, _steps

HERE = Path(__file__).parent
ACQUISITIONS = 10
STREAMS = ("truth", "haadf")
SHAPES = {"haadf": (160, 128)}
"""Large enough to be written past the page cache."""


def load(path: Path) -> ModuleType:
    """A module of the tests, which are no package when this file runs by itself."""
    name = f"recording_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise SystemExit(f"{path} is missing")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


support = load(HERE / "conftest.py")
frames = load(HERE.parents[1] / "frames.py")


class Executioner:
    """Counts the steps of Eucentric's code and ends this process, as a power switch would, at one of them."""

    def __init__(self, kill: dict[str, Any]) -> None:
        self.kill = kill
        self.steps = 0
        self.seen = 0
        self.labelled = 0

    def at_label(self, label: str) -> None:
        self.labelled += label == self.kill.get("label")
        if self.labelled == self.kill.get("occurrence", 0) > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if "/eucentric_" not in frame.f_code.co_filename:
            return
        self.steps += 1
        name = getattr(argument, "__name__", "") if event.startswith("c_") else frame.f_code.co_name
        self.seen += (name, event) == (self.kill.get("function"), self.kill.get("event"))
        if self.steps == self.kill.get("step") or self.seen == self.kill.get("occurrence", 0) > 0:
            os.kill(os.getpid(), signal.SIGKILL)


def poison(sequence: int) -> Frame:
    """A frame of a further stream that cannot be recorded."""
    frame = frames.build_frame(sequence, "bf")
    return Frame(frame.header, np.full(frame.header.shape, np.nan, frame.header.dtype))


def record(root: Path, acknowledged: Path, options: dict[str, Any]) -> None:
    site = support.Site(root)
    journal = site.open_journal(**options)
    journal.start_session(SessionStarted(source="agent", instrument="twin", session="s1", material="mos2"))
    with acknowledged.open("a", buffering=1) as acknowledgements:
        for sequence in range(ACQUISITIONS):
            for stream in STREAMS:
                journal.append(frames.build_frame(sequence, stream, shape=SHAPES.get(stream)))
            journal.sync()
            acknowledgements.write("".join(f"{sequence} {stream}\n" for stream in STREAMS))
            if sequence == 5:
                journal.append(poison(sequence))
                journal.wait_sealed()
                site.settle(journal)
    journal.stop_session("twin", "s1", frames=ACQUISITIONS)
    site.settle(journal)
    journal.close()


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            executioner = Executioner(order["kill"])
            _steps.on_step = executioner.at_label
            if "label" not in order["kill"]:
                threading.setprofile(executioner)
                sys.setprofile(executioner)
            record(Path(order["root"]), Path(order["acknowledged"]), order["options"])
            sys.setprofile(None)
            os.write(writer, str(executioner.steps).encode())
            os._exit(0)
        os.close(writer)
        steps = os.read(reader, 32)
        os.close(reader)
        _, status = os.waitpid(child, 0)
        answer = {"status": os.waitstatus_to_exitcode(status), "steps": int(steps or b"0")}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
