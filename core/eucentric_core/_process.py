"""Starting another program, knowing when it is ready, and being sure that it is gone."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil

from ._errors import ServiceUnavailableError

__all__ = ["ManagedProcess"]

_POLL_S = 0.1
_TAIL_BYTES = 16 << 10
_LEFT_ALONE_S = 1.0

_FAMILY = "EUCENTRIC_FAMILY"
"""Environment variable that a process hands down to all its descendants: the path of marks from the first."""

_log = logging.getLogger(__name__)


def _tail(path: Path, start: int, lines: int = 5) -> list[str]:
    """The last lines that were written behind `start`."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(start, size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()][-lines:]


class ManagedProcess:
    """A child process with its own process group and log file.

    Its descendants are known by a mark in their environment, so that `stop` finds them even where one
    has changed its process group or has lost its parent.

    Args:
        name: what to call it in messages.
        command: program and arguments; never a shell line.
        log: file for its output.
        environment: variables on top of this process's own.

    Raises:
        ServiceUnavailableError: the program is missing or may not be run.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        # A child that compiles its imports anew at every start needs two to three times as long.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._mark = uuid4().hex
        family = "/".join(filter(None, (os.environ.get(_FAMILY), self._mark)))
        with log.open("ab") as output:
            # What stands there already is of earlier starts.
            self._began_at = output.seek(0, os.SEEK_END)
            try:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**inherited, **(environment or {}), _FAMILY: family},
                    start_new_session=True,
                )
            except OSError as error:
                raise ServiceUnavailableError(
                    f"{name} cannot be started: {error}.",
                    safe="nothing was started.",
                    next_step=f"check that {command[0]} is installed and may be run.",
                ) from error

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
            ServiceUnavailableError: it ended, or was not ready in time and was stopped; names the log.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            self.require_running()
            if time.monotonic() > deadline:
                self.stop()
                raise self._unavailable(f"{self.name} was not ready within {timeout_s:g} s and was stopped")
            time.sleep(_POLL_S)

    def require_running(self) -> None:
        """Raise if the process has ended.

        Raises:
            ServiceUnavailableError: it ended; names the log.
        """
        if not self.running:
            raise self._unavailable(f"{self.name} ended with exit status {self._process.returncode}")

    def wait_finished(self, *, timeout_s: float) -> None:
        """Wait for the end of a process that is meant to end.

        Raises:
            ServiceUnavailableError: it failed, or did not end in time; names the log.
        """
        try:
            status = self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise self._unavailable(f"{self.name} did not end within {timeout_s:g} s") from error
        if status != 0:
            raise self._unavailable(f"{self.name} ended with exit status {status}")

    def _unavailable(self, what: str) -> ServiceUnavailableError:
        said = _tail(self.log, self._began_at)
        next_step = f"see its log {self.log}."
        if [line.partition(": ")[0] for line in said[-3:]] == ["error", "safe", "next"]:
            # One of our own (see `clear_errors`): what is the matter, and what to do about it.
            next_step = f"{said[-1].partition(': ')[2]} Its log is {self.log}."
            said = [said[-3].partition(": ")[2]]
        return ServiceUnavailableError(
            f"{what}: {' | '.join(said).rstrip('.') or 'no output'}.",
            safe="nothing that it had acknowledged is lost.",
            next_step=next_step,
            log=str(self.log),
        )

    def interrupt(self) -> None:
        """Ask the process to end at once, as Ctrl-C does; `stop` afterwards."""
        if self.running:
            self._process.send_signal(signal.SIGINT)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """SIGTERM to the process, then SIGKILL to whatever is left of it and its descendants."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not stop within %g s and is killed", self.name, grace_s)
                self._process.kill()
                self._process.wait(timeout=grace_s)
        _, alive = psutil.wait_procs(self._descendants(), timeout=_LEFT_ALONE_S)
        while alive:
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=grace_s)
            # One of them may have started another one meanwhile.
            alive = self._descendants()

    def _descendants(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_descendant(process)]

    def _is_descendant(self, process: psutil.Process) -> bool:
        try:
            marks = process.environ().get(_FAMILY, "").split("/")
            return self._mark in marks and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            # It has ended, or belongs to somebody else.
            return False
