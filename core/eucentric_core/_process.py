"""Starting another program, knowing when it is ready, and being sure that it is gone."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from ._errors import ServiceUnavailableError

__all__ = ["ManagedProcess"]

_POLL_S = 0.1

_log = logging.getLogger(__name__)


def _tail(path: Path, lines: int = 5) -> str:
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return " | ".join(text.splitlines()[-lines:])


class ManagedProcess:
    """A child process with its own process group and log file.

    Args:
        name: what to call it in messages.
        command: program and arguments; never a shell line.
        log: file for its output.
        environment: variables on top of this process's own.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        # A child that compiles its imports anew at every start needs two to three times as long.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Poll until ready.

        Raises:
            ServiceUnavailableError: it ended, or was not ready in time; names the log.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if not self.running:
                raise self._unavailable(f"{self.name} ended with exit status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._unavailable(f"{self.name} was not ready within {timeout_s:g} s")
            time.sleep(_POLL_S)

    def _unavailable(self, what: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"{what}: {_tail(self.log) or 'no output'}.",
            safe="everything it started is stopped with it.",
            next_step=f"see its log {self.log}.",
            log=str(self.log),
        )

    def stop(self, *, grace_s: float = 10.0) -> None:
        """SIGTERM to the process, then SIGKILL to whatever is left of it and its descendants."""
        family = self._family()
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not stop within %g s and is killed", self.name, grace_s)
                self._process.kill()
                self._process.wait(timeout=grace_s)
        _, alive = psutil.wait_procs(family, timeout=1.0)
        for process in alive:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=5.0)

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
