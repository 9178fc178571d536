"""One service under supervision: waiting, starting, up, resting before a restart, or given up."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from eucentric_core import FrozenModel, ManagedProcess, ServiceUnavailableError, UtcDatetime, utc_now

from ._restarts import Restarts

__all__ = ["State", "Supervised", "SupervisedView"]

State = Literal["waiting", "starting", "up", "resting", "given up"]

_START_S = 180.0
_SILENT_S = 60.0
_STOP_S = 20.0
_LARGEST_LOG_BYTES = 32 << 20

_log = logging.getLogger(__name__)


class SupervisedView(FrozenModel):
    """What the supervisor knows of a service.

    Args:
        state: how it stands.
        since_utc: since when.
        restarts: how often it was started again since the hub came up.
        said: why it ended last; empty if it has not.
    """

    state: State
    since_utc: UtcDatetime
    restarts: int = 0
    said: str = ""


class Supervised:
    """A service and its process. `step` is called a few times a second; times are seconds that only rise.

    Args:
        name: of the service.
        command: becomes it.
        log: of what it prints; begun anew when it is large, one old one is kept.
        restarts: how often it may be started again.
    """

    def __init__(self, name: str, command: tuple[str, ...], log: Path, restarts: Restarts) -> None:
        self.name = name
        self._command = command
        self._log_path = log
        self._restarts = restarts
        self._process: ManagedProcess | None = None
        self._state: State = "waiting"
        self._since: datetime = utc_now()
        self._count = 0
        self._said = ""
        self._due_s = 0.0
        self._answered_s = 0.0

    @property
    def state(self) -> State:
        """How it stands."""
        return self._state

    @property
    def view(self) -> SupervisedView:
        """What is known of it."""
        return SupervisedView(state=self._state, since_utc=self._since, restarts=self._count, said=self._said)

    def step(self, now_s: float, *, needed_are_up: bool, answers: Callable[[], bool]) -> None:
        """Look once, and do what is due.

        Args:
            now_s: the time.
            needed_are_up: whether every service it needs is up; it is started only then.
            answers: whether it answers; asked only while its process runs.
        """
        match self._state:
            case "waiting" if needed_are_up:
                self._start(now_s)
            case "resting" if needed_are_up and now_s >= self._due_s:
                self._count += 1
                self._start(now_s)
            case "starting" | "up":
                self._watch(now_s, answers)

    def stop(self) -> None:
        """Stop the process, if there is one."""
        if self._process is None:
            return
        if self.name == "postgres":
            # At SIGTERM it would wait for its clients; at SIGINT it ends their sessions and stops cleanly.
            self._process.interrupt()
        self._process.stop(grace_s=_STOP_S)
        self._process = None
        self._turn("waiting")

    def _start(self, now_s: float) -> None:
        _begin_log_anew(self._log_path)
        try:
            self._process = ManagedProcess(self.name, self._command, log=self._log_path)
        except ServiceUnavailableError as error:
            self._ended(now_s, error)
            return
        self._answered_s = now_s
        self._turn("starting")

    def _watch(self, now_s: float, answers: Callable[[], bool]) -> None:
        process = self._process
        if process is None:
            raise RuntimeError(f"{self.name} is {self._state} without a process")
        try:
            process.require_running()
        except ServiceUnavailableError as error:
            self._ended(now_s, error)
            return
        if answers():
            self._answered_s = now_s
            if self._state == "starting":
                self._turn("up")
            return
        patience_s = _START_S if self._state == "starting" else _SILENT_S
        if now_s - self._answered_s > patience_s:
            self._ended(
                now_s,
                ServiceUnavailableError(
                    f"{self.name} did not answer for {patience_s:g} s.",
                    safe="nothing that it had acknowledged is lost.",
                    next_step=f"see its log {self._log_path}.",
                ),
            )

    def _ended(self, now_s: float, error: ServiceUnavailableError) -> None:
        if self._process is not None:
            # Its descendants as well, and what hangs.
            self._process.stop(grace_s=_STOP_S)
            self._process = None
        self._said = error.what
        self._restarts, wait_s = self._restarts.ended(now_s)
        if wait_s is None:
            _log.error("%s is given up: %s %s", self.name, error.what, error.next_step)
            self._turn("given up")
            return
        _log.warning("%s is started again in %g s: %s", self.name, wait_s, error.what)
        self._due_s = now_s + wait_s
        self._turn("resting")

    def _turn(self, state: State) -> None:
        if state != self._state:
            self._state, self._since = state, utc_now()
            _log.info("%s is %s", self.name, state, extra={"hub_service": self.name, "state": state})


def _begin_log_anew(path: Path) -> None:
    if sys.platform != "win32" and path.exists() and path.stat().st_size > _LARGEST_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
