"""The agent process: control alone, with the driver host and the data process at its side."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from pydantic import JsonValue

from eucentric_core import (
    LEASE_DURATION_S,
    EucentricError,
    Settings,
    require_free_space,
    service_about,
)
from eucentric_core.transport import KeyKeeper, PyroControlServer, require_port_free
from eucentric_transfer import check_address

from ._console import ConsoleFile
from ._home_lock import HomeLock
from .control import (
    AuditLog,
    AuditView,
    AuditWriteError,
    Dispatcher,
    LeaseKeeper,
    Outcome,
    Watchdog,
    control_methods,
)
from .data import DataLink, DataProcess, DoorAdmission, EventOutbox
from .drivers.host import DriverHost, MadeSafe
from .interlocks import Interlocks

__all__ = ["Agent"]

_POLL_S = 0.2
_UNHINDERED_STOP_S = 2.0
_STOPPED = "agent.stop"

_log = logging.getLogger(__name__)


class Agent:
    """Everything on the control PC, started and stopped together. A context manager.

    Starting moves nothing and leaves the beam as it is. What was started is stopped again if a later
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
        self._claimed = False

    def claim(self) -> None:
        """Take the home folder for this process until the agent stops; entering does it if nobody has.

        For whoever touches files in it before the agent starts.

        Raises:
            ConfigurationError: an agent already runs with this home; nothing was touched.
        """
        if not self._claimed:
            self._stack.enter_context(HomeLock(self._settings.home))
            self._claimed = True

    def __enter__(self) -> Self:
        """Start.

        Raises:
            EucentricError: an agent already runs with this home, a port is in use, the disk is full, or
                a driver option, the instrument, the recording folder, the audit log, lease, interlocks or
                a certificate cannot be used.
        """
        self.claim()
        settings = self._settings.agent
        folder = self._settings.home / "agent"
        with self._stack as started:
            require_port_free(settings.host, settings.control_port, "the control channel")
            require_free_space(folder, settings.min_free_bytes)
            if settings.ship_to is not None:
                # The data process would end with it, and less clearly.
                check_address(settings.ship_to)
            self._data = DataProcess(self._settings)
            started.callback(self._data.stop)
            self._data.launch()
            self._host = DriverHost(
                self._settings,
                ingest_port=self._data.ingest_port,
                on_made_safe=self._note_made_safe,
                on_lost=lambda why: self._note("driver.lost", "failed", {"reason": why}),
                on_restored=lambda: self._note("driver.restarted", "done", {"made_safe": True}),
            )
            started.callback(self._host.stop)
            self._host.launch()
            # Both start while this process prepares the rest.
            self._audit = AuditLog(folder / "audit.jsonl")
            started.callback(self._audit.close)
            self._note_unclean_end()
            lease = LeaseKeeper(folder / "lease.json", duration_s=self._lease_duration_s)
            # Events only: frames go from the driver host to the data process, past this one.
            self._events = DataLink(self._data.ingest_endpoint)
            started.callback(self._events.close)
            outbox = EventOutbox(self._events.publish_event)
            started.callback(outbox.close)
            self._host.open()
            interlocks = Interlocks.open(
                self._settings.interlocks_path,
                self._host.instrument.capabilities,
                ledger=folder / "dose.sqlite",
            )
            started.callback(interlocks.close)
            self._data.wait_ready()
            self._dispatcher = Dispatcher(
                self._host.instrument,
                self._host.desk,
                lease=lease,
                audit=self._audit,
                announce=outbox.announce,
                interlocks=interlocks,
            )
            started.callback(self._end_session)
            self._host.watch()
            watchdog = Watchdog(self._dispatcher)
            watchdog.start()
            started.callback(watchdog.stop)
            self._serve_control(started)
            # The last to be registered is the first to run: nothing of the stop comes before the beam.
            started.callback(self._make_safe_first)
            self._note("agent.start", "done", {"instrument": settings.instrument})
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
        return self._host.trouble or self._trouble or self._dispatcher.trouble or "ready"

    def supervise(self, stopping: threading.Event) -> None:
        """Watch the data process until told to stop; stop acquisition when it dies, and start it again.

        The driver host is watched over from the start on, by a thread of its own.
        """
        while not stopping.wait(_POLL_S):
            if not self._data.running and self._trouble is None:
                self._stop_acquisition()
                self._restore(stopping)

    def _serve_control(self, started: ExitStack) -> None:
        settings = self._settings.agent
        keys = KeyKeeper(DoorAdmission(self._data.door), settings.tls)
        keys.start()
        started.callback(keys.stop)
        methods = control_methods(
            self._dispatcher,
            self._host.instrument.capabilities,
            lambda: self.state,
            keys.open,
            self._data.door.call,
            self._about,
            AuditView(self._settings.home / "agent" / "audit.jsonl").answer,
        )
        network = PyroControlServer(
            methods,
            host=settings.host,
            port=settings.control_port,
            credentials=settings.tls,
            anonymous_role=settings.loopback_role,
        )
        self._serve(network, "control", started)
        file = ConsoleFile(self._settings.home)
        console = PyroControlServer(methods, host="127.0.0.1", port=0, token=file.token)
        self._serve(console, "console", started)
        file.write(console.address[1])
        started.callback(file.remove)

    def _about(self, _payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        state = self._dispatcher.trouble or self.state
        about = service_about("agent", state, self._settings.home, self._settings.agent.tls)
        return about.model_dump(mode="json")

    @staticmethod
    def _serve(server: PyroControlServer, name: str, started: ExitStack) -> None:
        serving = threading.Thread(target=server.serve, name=name, daemon=True)
        serving.start()
        started.callback(serving.join, timeout=3)
        started.callback(server.stop)

    def _stop_acquisition(self) -> None:
        self._trouble = "the data process is not running; acquisition has stopped"
        self._set_link(whole=False)
        _log.error("the data process has died; the beam is blanked and acquisition stops")
        try:
            self._dispatcher.make_safe("the data process has died")
        except EucentricError as error:
            # No frame can be published any more, and the driver host is on its way to the safe state itself.
            _log.error("the instrument was not made safe: %s", error)

    def _restore(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._data.restarts.pause_s):
            try:
                began_s = time.monotonic()
                self._data.restart()
            except EucentricError as error:
                _log.error("the data process could not be restarted: %s", error)
                if not self._data.restarts.left:
                    self._trouble = error.what
                    return
            else:
                self._set_link(whole=True)
                self._trouble = None
                _log.warning("the data process is back after %.1f s", time.monotonic() - began_s)
                return

    def _set_link(self, *, whole: bool) -> None:
        if whole:
            self._events.mark_whole()
        else:
            self._events.mark_broken()
        try:
            self._host.set_link(whole=whole)
        except EucentricError as error:
            _log.error("the driver host was not told of the data process; the next one will be: %s", error)

    def _make_safe_first(self) -> None:
        self._host.refuse_steering("the agent stops")
        try:
            self._dispatcher.make_safe("the agent stops")
        except EucentricError as error:
            _log.error("not safe yet; the watchdog and the rest of the stop go on trying: %s", error)

    def _end_session(self) -> None:
        try:
            self._dispatcher.make_safe("the agent stops")
        except EucentricError as error:
            _log.error("the driver host has to make the instrument safe at its end: %s", error)
        # A recorder that holds everything back must not keep the agent from stopping.
        limit = threading.Timer(_UNHINDERED_STOP_S, self._set_link, kwargs={"whole": False})
        limit.start()
        try:
            self._dispatcher.stop_session()
        except EucentricError as error:
            _log.error("the session was not closed in order: %s", error)
        finally:
            limit.cancel()
            self._dispatcher.close()
            self._note(_STOPPED, "done", {})

    def _note_unclean_end(self) -> None:
        earlier = self._audit.earlier
        if earlier is None or earlier.action == _STOPPED:
            return
        details = {"last_record": earlier.index, "last_action": earlier.action, "at": str(earlier.at_utc)}
        self._note("agent.unclean_end", "done", details)
        _log.warning("the agent did not end in order the last time; its last record is of %s", earlier.at_utc)

    def _note_made_safe(self, made_safe: MadeSafe) -> None:
        self._note("driver.made_safe", "done", made_safe.model_dump(mode="json"))
        try:
            # What the agent remembers of the beam is as it was before the driver host acted.
            self._dispatcher.make_safe(f"the driver host has made the instrument safe: {made_safe.reason}")
        except EucentricError as error:
            _log.error("the instrument was not made safe once more: %s", error)

    def _note(self, action: str, outcome: Outcome, details: dict[str, Any]) -> None:
        try:
            self._audit.append("agent", action, outcome, details=details)
        except AuditWriteError:
            # It has happened; new steering is refused all the same, because it cannot be put on record.
            _log.exception("no audit record of %s", action)
