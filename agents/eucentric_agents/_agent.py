"""The agent process: driver, control server, watchdog, and the data process at its side."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from eucentric_core import (
    LEASE_DURATION_S,
    EucentricError,
    Settings,
    require_free_space,
)
from eucentric_core.transport import PyroControlServer, require_port_free

from .control import AuditLog, Dispatcher, LeaseKeeper, SessionDesk, SessionNames, Watchdog, control_methods
from .data import DataLink, DataProcess, EventOutbox
from .drivers import open_driver

__all__ = ["Agent"]

_POLL_S = 0.2
_UNHINDERED_STOP_S = 2.0

_log = logging.getLogger(__name__)


class Agent:
    """Everything on the control PC, started and stopped together. A context manager.

    Starting moves nothing and leaves the beam blanked. What was started is stopped again if a later
    step of the start fails.

    Args:
        settings: of this machine.
        lease_duration_s: how long a lease lasts without renewal.
    """

    def __init__(self, settings: Settings, *, lease_duration_s: float = LEASE_DURATION_S) -> None:
        self._settings = settings
        self._lease_duration_s = lease_duration_s
        self._trouble: str | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start.

        Raises:
            EucentricError: a port is in use, the disk is full, or a driver option, the instrument, the
                recording folder, the audit log or the lease file cannot be used.
        """
        settings = self._settings.agent
        folder = self._settings.home / "agent"
        folder.mkdir(parents=True, exist_ok=True)
        require_port_free(settings.host, settings.control_port, "the control channel")
        require_free_space(folder, settings.min_free_bytes)
        with self._stack as started:
            self._data = DataProcess(self._settings)
            started.callback(self._data.stop)
            self._data.start()
            self._link = DataLink(self._data.ingest_endpoint)
            started.callback(self._link.close)
            self._driver = open_driver(settings, self._link.publish)
            started.callback(self._driver.close)
            outbox = EventOutbox(self._link.publish_event)
            started.callback(outbox.close)
            audit = AuditLog(folder / "audit.jsonl")
            started.callback(audit.close)
            self._dispatcher = Dispatcher(
                self._driver,
                SessionDesk(self._driver, SessionNames(folder / "sessions.txt"), self._link.publish_event),
                lease=LeaseKeeper(folder / "lease.json", duration_s=self._lease_duration_s),
                audit=audit,
                announce=outbox.announce,
            )
            started.callback(self._end_session)
            watchdog = Watchdog(self._dispatcher)
            watchdog.start()
            started.callback(watchdog.stop)
            methods = control_methods(self._dispatcher, self._driver.capabilities, lambda: self.state)
            control = PyroControlServer(methods, host=settings.host, port=settings.control_port)
            serving = threading.Thread(target=control.serve, name="control", daemon=True)
            serving.start()
            started.callback(serving.join, timeout=3)
            started.callback(control.stop)
            audit.append("agent", "agent.start", "done", details={"instrument": settings.instrument})
            # Everything is up: keep it so when this block ends.
            self._stack = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make the instrument safe, close the session, and stop; what was published is recorded first."""
        self._stack.close()

    @property
    def state(self) -> str:
        """`ready`, or what is wrong."""
        return self._trouble or "ready"

    def supervise(self, stopping: threading.Event) -> None:
        """Watch the data process until told to stop; stop acquisition when it dies, and start it again."""
        while not stopping.wait(_POLL_S):
            if not self._data.running and self._trouble is None:
                self._stop_acquisition()
                self._restore(stopping)

    def _stop_acquisition(self) -> None:
        self._trouble = "the data process is not running; acquisition has stopped"
        self._link.mark_broken()
        _log.error("the data process has died; the beam is blanked and acquisition stops")
        self._dispatcher.make_safe("the data process has died")

    def _restore(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._data.restart_pause_s):
            try:
                began_s = time.monotonic()
                self._data.restart()
            except EucentricError as error:
                _log.error("the data process could not be restarted: %s", error)
                if not self._data.restarts_left:
                    self._trouble = error.what
                    return
            else:
                self._link.mark_whole()
                self._trouble = None
                _log.warning("the data process is back after %.1f s", time.monotonic() - began_s)
                return

    def _end_session(self) -> None:
        self._dispatcher.make_safe("the agent stops")
        # A recorder that holds everything back must not keep the agent from stopping.
        limit = threading.Timer(_UNHINDERED_STOP_S, self._link.mark_broken)
        limit.start()
        try:
            self._dispatcher.stop_session()
        except EucentricError as error:
            _log.error("the session was not closed in order: %s", error)
        finally:
            limit.cancel()
            self._dispatcher.close()
