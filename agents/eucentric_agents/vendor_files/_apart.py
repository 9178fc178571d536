"""Reading vendors' files in another process: a reader that crashes, hangs or swells costs one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
import psutil

from eucentric_core import ErrorReport, error_from_report

from ._errors import VendorReaderError
from ._signal import VendorAxis, VendorSignal

__all__ = ["ApartReader"]

_POLL_S = 0.02
_STOP_TIMEOUT_S = 5.0
_MAPPED_FROM_BYTES = 1 << 20
_WORKER = "eucentric_agents.vendor_files._worker"


class ApartReader:
    """A process that reads one file after another; a new one takes its place when it is lost.

    A context manager. Arrays come back mapped from files in a folder of its own, which goes with it.

    Args:
        scratch: existing folder for the arrays; as much room as they need.
        timeout_s: for one file.
        memory_bytes: most memory the reader may use.
    """

    def __init__(self, scratch: Path, *, timeout_s: float = 300.0, memory_bytes: int = 4 << 30) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="vendor-", dir=scratch))
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None
        self._count = 0

    @property
    def pid(self) -> int | None:
        """Number of the reading process, None before the first file and after a loss."""
        return None if self._process is None else self._process.pid

    def read(self, path: Path, *, images_only: bool = False) -> list[VendorSignal]:
        """Read a file; see `load_signals`. The arrays are valid until the next call.

        Raises:
            VendorReaderError: the reader crashed, or was ended because it took too long or too much.
            EucentricError: whatever `load_signals` says.
        """
        for earlier in self._scratch.glob("file-*"):
            shutil.rmtree(earlier, ignore_errors=True)
        self._count += 1
        folder = self._scratch / f"file-{self._count}"
        folder.mkdir()
        process = self._running()
        request = {"path": str(path.absolute()), "folder": str(folder), "images_only": images_only}
        try:
            if process.stdin is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
        except OSError:
            pass  # it has died: `_wait` says so
        self._wait(process, path, folder / "reply.json")
        reply = json.loads((folder / "reply.json").read_bytes())
        if "error" in reply:
            raise error_from_report(ErrorReport.model_validate(reply["error"]))
        return [_signal(folder / f"{index}.npy", facts) for index, facts in enumerate(reply["signals"])]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._log = (self._scratch / "worker.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", _WORKER, str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            text=True,
        )
        return self._process

    def _wait(self, process: subprocess.Popen[str], path: Path, reply: Path) -> None:
        deadline_s = time.monotonic() + self._timeout_s
        while not reply.exists():
            status = process.poll()
            if status is not None and not reply.exists():
                self._end()
                raise _lost(path, f"its reader crashed (exit status {status})", "repair the file, or")
            if time.monotonic() >= deadline_s:
                self._end()
                raise _lost(
                    path, f"its reader was not done after {self._timeout_s:g} s", "allow more time, or"
                )
            if _used_bytes(process.pid) > self._memory_bytes:
                self._end()
                raise _lost(path, "its reader used more memory than it may", "allow more memory, or")
            time.sleep(_POLL_S)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)
            if process.stdin is not None:
                # What was still buffered has nowhere to go.
                _close_quietly(process.stdin)
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _signal(path: Path, facts: dict[str, Any]) -> VendorSignal:
    # An empty array cannot be mapped.
    mapped: Literal["r"] | None = "r" if path.stat().st_size > _MAPPED_FROM_BYTES else None
    data = np.load(path, mmap_mode=mapped, allow_pickle=False)
    signal = VendorSignal(**{**facts, "data": data, "axes": ()})
    return replace(signal, axes=tuple(VendorAxis(**axis) for axis in facts["axes"]))


def _used_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _close_quietly(stream: IO[str]) -> None:
    try:
        stream.close()
    except OSError:
        return


def _lost(path: Path, problem: str, next_step: str) -> VendorReaderError:
    return VendorReaderError(
        f"{path.name}: {problem}.",
        safe="nothing of the file was used; the reader's process is ended.",
        next_step=f"{next_step} save the data in another format.",
    )
