"""A service of the agent's own in a process of its own: started, watched, started again, stopped."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from eucentric_core import ManagedProcess, ServiceUnavailableError, Settings, write_atomic

__all__ = ["ChildService", "RestartBudget", "parent_is_gone"]

_PARENT = "--parent-pid"
_POLL_S = 0.05
_START_TIMEOUT_S = 30.0
_PREDECESSOR_S = 10.0
_KILLED_WITHIN_S = 1.0
_RESTART_PAUSE_S = 2.0
_MAX_RESTARTS = 5
_FORGIVEN_AFTER_S = 600.0

_log = logging.getLogger(__name__)


def parent_is_gone(parent_pid: int) -> bool:
    """Whether the process that started this one has ended."""
    return os.getppid() != parent_pid or not psutil.pid_exists(parent_pid)


def _has_its_parent(child: psutil.Process) -> bool:
    words = child.cmdline()
    parent_pid = int(words[words.index(_PARENT) + 1])
    return child.ppid() == parent_pid and psutil.pid_exists(parent_pid)


def _ends(process: psutil.Process, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while True:
        try:
            # In a container nobody may collect what has ended.
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)


class RestartBudget:
    """How often something that dies is started again: five times in ten minutes.

    Args:
        called: what to call it in messages.
        log: where to read why it dies.
        clock: monotonic seconds.
    """

    def __init__(self, called: str, log: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._called = called
        self._log = log
        self._clock = clock
        self._spent_s: list[float] = []

    @property
    def left(self) -> int:
        """How often it may still be restarted."""
        now_s = self._clock()
        self._spent_s = [then_s for then_s in self._spent_s if now_s - then_s < _FORGIVEN_AFTER_S]
        return _MAX_RESTARTS - len(self._spent_s)

    @property
    def pause_s(self) -> float:
        """How long to wait before the next restart, if nothing urgent depends on it."""
        return _RESTART_PAUSE_S * (1 + len(self._spent_s))

    def spend(self) -> None:
        """Account for one restart, before it is tried.

        Raises:
            ServiceUnavailableError: it has died too often to be tried again.
        """
        if not self.left:
            raise ServiceUnavailableError(
                f"The {self._called} has died {_MAX_RESTARTS} times within {_FORGIVEN_AFTER_S:g} s.",
                safe="acquisition has stopped, and what was recorded is kept.",
                next_step=f"see {self._log}, then restart the agent.",
            )
        self._spent_s.append(self._clock())


class ChildService:
    """A child process that reads its settings from a file and says in another that it is ready.

    Args:
        settings: effective settings; the child receives exactly these.
        service: name of its ready file, its log and its settings file.
        called: what to call it in messages.
        module: what `python -m` runs; it takes `--settings FILE`, `--parent-pid N` and `arguments`.
        arguments: more of its command line.
    """

    def __init__(
        self, settings: Settings, *, service: str, called: str, module: str, arguments: Sequence[str]
    ) -> None:
        self._settings = settings
        self._service = service
        self._called = called
        self._handed_over = settings.home / "run" / f"{service}.settings.json"
        self._ready_file = settings.home / "run" / f"{service}.json"
        self._command = [sys.executable, "-m", module, "--settings", str(self._handed_over)]
        self._command += [_PARENT, str(os.getpid()), *arguments]
        self._process: ManagedProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the child is alive."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """Process id of the child."""
        return None if self._process is None else self._process.pid

    def launch(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Start the child and return at once; see `wait_ready`.

        Args:
            environment: variables on top of this process's own.

        Raises:
            ConfigurationError: a port that it needs is in use.
            ServiceUnavailableError: it cannot be started.
        """
        self.await_predecessor()
        self._require_ports()
        self._handed_over.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._handed_over, self._settings.model_dump_json().encode())
        self._process = ManagedProcess(
            self._service,
            self._command,
            log=self._settings.logs / f"{self._service}.out",
            environment=environment,
        )

    def wait_ready(self) -> dict[str, Any]:
        """Wait until the child answers, and return what it says in its ready file.

        Raises:
            ServiceUnavailableError: it ended, or did not answer in time; names its log.
        """
        if self._process is None:
            raise ServiceUnavailableError(
                f"The {self._called} was not started.", safe="nothing was started.", next_step="start it."
            )
        try:
            self._process.wait_ready(lambda: self._facts() is not None, timeout_s=_START_TIMEOUT_S)
        except ServiceUnavailableError:
            self._process.stop(grace_s=1.0)
            raise
        _log.info("%s %d is ready", self._called, self._process.pid)
        return self._facts() or {}

    def await_predecessor(self) -> None:
        """Give the child of an agent that was killed time to end in order, then kill it.

        A child whose agent lives is left alone.
        """
        try:
            pid = int(json.loads(self._ready_file.read_text(encoding="utf-8"))["pid"])
            left = psutil.Process(pid)
            if str(self._handed_over) not in left.cmdline() or _has_its_parent(left):
                return
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            # There is none, or it belongs to somebody else.
            return
        _log.warning("%s %d of an earlier agent is still there; waiting for its end", self._called, pid)
        if _ends(left, within_s=_PREDECESSOR_S):
            return
        with suppress(psutil.Error):
            left.kill()
        if not _ends(left, within_s=_PREDECESSOR_S):
            _log.error("%s %d of an earlier agent cannot be ended", self._called, pid)

    def kill(self) -> None:
        """End the child and its descendants at once; `stop` looks for any that have left the family."""
        if not self.running:
            return
        with suppress(psutil.NoSuchProcess):
            child = psutil.Process(self.pid)
            family = [*child.children(recursive=True), child]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=_KILLED_WITHIN_S)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Let the child end in order."""
        if self._process is not None:
            self._process.stop(grace_s=grace_s)
        self._handed_over.unlink(missing_ok=True)
        # One that was killed has left it behind.
        self._ready_file.unlink(missing_ok=True)

    def _require_ports(self) -> None:
        """Say clearly that a port cannot be had, before anything is started."""

    def _facts(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
            return facts if facts["pid"] == self.pid else None
        except (OSError, ValueError, KeyError):
            return None
