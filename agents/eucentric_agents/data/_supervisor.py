"""Starting the data process, and starting it again when it dies."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from eucentric_core import ManagedProcess, ServiceUnavailableError, Settings, write_atomic
from eucentric_core.transport import find_free_port, require_port_free

__all__ = ["DATA_SERVICE", "DataProcess"]

DATA_SERVICE = "agent-data"

_START_TIMEOUT_S = 30.0
_RESTART_PAUSE_S = 2.0
_MAX_RESTARTS = 5
_FORGIVEN_AFTER_S = 600.0

_log = logging.getLogger(__name__)


class DataProcess:
    """The child process that serves and records.

    It is restarted at most five times in ten minutes, at least two seconds apart.

    Args:
        settings: effective settings; the child receives exactly these.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ingest_port = find_free_port()
        self._handed_over = settings.home / "run" / f"{DATA_SERVICE}.settings.json"
        self._process: ManagedProcess | None = None
        self._restarts: list[float] = []

    @property
    def ingest_endpoint(self) -> str:
        """Where the agent publishes."""
        return f"tcp://127.0.0.1:{self._ingest_port}"

    @property
    def running(self) -> bool:
        """Whether the child is alive."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """Process id of the child."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the child and wait until it answers.

        Raises:
            ConfigurationError: the data port is in use.
            ServiceUnavailableError: it ended, or did not answer in time; names its log.
        """
        settings = self._settings
        require_port_free(settings.agent.host, settings.agent.data_port, "the data channel")
        self._handed_over.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._handed_over, settings.model_dump_json().encode())
        command = [sys.executable, "-m", "eucentric_agents.data", "--settings", str(self._handed_over)]
        command += ["--ingest-port", str(self._ingest_port), "--parent-pid", str(os.getpid())]
        self._process = ManagedProcess(DATA_SERVICE, command, log=settings.logs / f"{DATA_SERVICE}.out")
        try:
            self._process.wait_ready(self._answers, timeout_s=_START_TIMEOUT_S)
        except ServiceUnavailableError:
            self._process.stop(grace_s=1.0)
            raise
        _log.info("data process %d is ready", self._process.pid)

    def restart(self) -> None:
        """Start the child again after it died.

        Raises:
            ServiceUnavailableError: it did not start, or has died too often to be tried again.
        """
        if not self.restarts_left:
            raise ServiceUnavailableError(
                f"The data process has died {_MAX_RESTARTS} times within {_FORGIVEN_AFTER_S:g} s.",
                safe="acquisition has stopped, the beam is blanked, and what was recorded is kept.",
                next_step=f"see {self._settings.logs / DATA_SERVICE}.jsonl, then restart the agent.",
            )
        self._restarts.append(time.monotonic())
        self.start()

    @property
    def restarts_left(self) -> int:
        """How often it may still be restarted."""
        now_s = time.monotonic()
        self._restarts = [then_s for then_s in self._restarts if now_s - then_s < _FORGIVEN_AFTER_S]
        return _MAX_RESTARTS - len(self._restarts)

    @property
    def restart_pause_s(self) -> float:
        """How long to wait before the next restart."""
        return _RESTART_PAUSE_S * (1 + len(self._restarts))

    def stop(self) -> None:
        """Stop the child; it first records what it was sent."""
        if self._process is not None:
            self._process.stop(grace_s=10.0)
        self._handed_over.unlink(missing_ok=True)

    def _answers(self) -> bool:
        ready_file = self._settings.home / "run" / f"{DATA_SERVICE}.json"
        try:
            return bool(json.loads(ready_file.read_text(encoding="utf-8"))["pid"] == self.pid)
        except (OSError, ValueError, KeyError):
            return False
