"""What runs in the driver host: one driver, its session desk, and the second watchdog."""

from __future__ import annotations

import json
import logging
import os
import threading
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from importlib import import_module

from eucentric_core import (
    EucentricError,
    Frame,
    Instrument,
    RemoteError,
    ServiceLifetime,
    Settings,
    configure_logging,
    service_lifetime,
    write_atomic,
)
from eucentric_core.transport import PyroControlServer

from ..._child import parent_is_gone
from ...data import DataLink
from ...sessions import SessionDesk, SessionNames
from .. import __name__ as drivers_package
from .._registry import known_drivers, open_driver
from ._deadman import Deadman
from ._device import DeviceThread
from ._messages import Open
from ._methods import HostMethods

__all__ = ["DRIVER_SERVICE", "serve_driver"]

DRIVER_SERVICE = "driver"

_POLL_S = 0.1
_SAFE_WITHIN_S = 1.0
_CLOSED_WITHIN_S = 2.0
_ENDED_WITHIN_S = 8.0

_log = logging.getLogger(__name__)


class _Publishing:
    """The driver's sink: on to the data process, and counted."""

    def __init__(self, link: DataLink) -> None:
        self._link = link
        self.so_far: tuple[str | None, int] = (None, 0)

    def __call__(self, frame: Frame) -> None:
        self._link.publish(frame)
        self.so_far = (frame.header.session, frame.header.sequence + 1)


def serve_driver(settings: Settings, *, ingest_port: int, parent_pid: int, token: str, service: str) -> None:
    """Stand by, open the driver when told to, and serve it until SIGTERM or until the agent process is gone.

    Args:
        settings: effective settings.
        ingest_port: loopback port of the data process.
        parent_pid: the agent.
        token: what the agent proves itself with.
        service: name of the ready file; there is another, `driver.json`, while the driver is open.

    Raises:
        EucentricError: the ready file cannot be written.
    """
    with service_lifetime(service, settings.home) as lifetime, ExitStack() as started:
        host = _Host(settings, ingest_port=ingest_port)
        started.callback(host.close)
        control = PyroControlServer(host.methods.table(), host="127.0.0.1", port=0, token=token)
        serving = threading.Thread(target=control.serve, name="control", daemon=True)
        serving.start()
        started.callback(serving.join, timeout=1)
        started.callback(control.stop)
        _serve(lifetime, host, port=control.address[1], parent_pid=parent_pid)
        # A vendor call that never returns must not keep the process, and the device with it.
        limit = threading.Timer(_ENDED_WITHIN_S, os._exit, (3,))
        limit.daemon = True
        limit.start()


def _serve(lifetime: ServiceLifetime, host: _Host, *, port: int, parent_pid: int) -> None:
    lifetime.announce_ready({"port": port})
    while not lifetime.stopping.wait(_POLL_S):
        if parent_is_gone(parent_pid):
            host.agent_is_gone(lifetime.stopping)
            return


class _Host:
    """The driver and everything around it in this process."""

    def __init__(self, settings: Settings, *, ingest_port: int) -> None:
        self._settings = settings
        self._link = DataLink(f"tcp://127.0.0.1:{ingest_port}", ring_bytes=settings.data_channel.ring_bytes)
        self._published = _Publishing(self._link)
        self._device = DeviceThread()
        self._deadman = Deadman(self._make_safe)
        self._deadman.start()
        self._device.run(self._import_driver, "importing the driver")
        self._opened: Future[tuple[Instrument, SessionDesk]] = Future()
        self._ready_file = settings.home / "run" / f"{DRIVER_SERVICE}.json"
        self.methods = HostMethods(
            self._open,
            self._opened,
            device=self._device,
            deadman=self._deadman,
            link=self._link,
            published=lambda: self._published.so_far,
        )

    def agent_is_gone(self, stopping: threading.Event) -> None:
        """Make the instrument safe, if this host has one, and try until it is or somebody ends the process.

        Nobody else can do it any more: the next agent ends this process before it opens the instrument.
        """
        if self._has_driver():
            self._deadman.insist("the agent process is gone", stopping=stopping)

    def _has_driver(self) -> bool:
        return self._opened.done() and self._opened.exception() is None

    def _make_safe(self) -> None:
        self._opened.result()[0].safe_state()

    def _open(self, wanted: Open) -> None:
        # From here on, and not before, this process is the driver host: standing by is not worth a log.
        configure_logging(DRIVER_SERVICE, self._settings.logs)
        write_atomic(self._ready_file, json.dumps({"pid": os.getpid()}).encode())
        try:
            self._opened.set_result(self._device.run(self._open_driver, "opening"))
        except EucentricError as error:
            self._opened.set_exception(error)
        if wanted.make_safe:
            self._deadman.demand("an earlier driver host was lost", within_s=0)

    def _import_driver(self) -> None:
        # What stands by has imported what takes time, on the thread that will use it.
        driver = self._settings.agent.instrument
        if driver in known_drivers():
            try:
                import_module(f"{drivers_package}.{driver}")
            except Exception as error:  # noqa: BLE001  (told when the driver is opened)
                _log.info("opening the driver will fail and say why: %r", error)

    def _open_driver(self) -> tuple[Instrument, SessionDesk]:
        driver = self._settings.agent.instrument
        try:
            instrument = open_driver(self._settings.agent, self._published)
        except EucentricError:
            raise
        except Exception as error:
            # Whatever the vendor's software raises: who started the agent must read why.
            _log.exception("the driver %s could not be opened", driver)
            raise RemoteError(
                f"The driver {driver!r} failed while it was opened: {type(error).__name__}: {error}.",
                safe="the instrument was not touched, as far as the driver keeps its promise.",
                next_step=f"see {self._settings.logs / DRIVER_SERVICE}.jsonl.",
            ) from error
        names = SessionNames(self._settings.home / "agent" / "sessions.txt")
        _log.info("driver open", extra={"driver": driver})
        return instrument, SessionDesk(instrument, names, self._link.publish_event)

    def close(self) -> None:
        """Safe state, session closed, driver closed, what was published sent; each as far as possible."""
        # A recorder that holds everything back must not keep the host from ending.
        limit = threading.Timer(_CLOSED_WITHIN_S, self._link.mark_broken)
        limit.daemon = True
        limit.start()
        if self._has_driver():
            # The device may be at work for seconds before it can be closed.
            self._deadman.demand("the driver host ends", within_s=_SAFE_WITHIN_S)
        try:
            self._device.finish(self._close_driver, within_s=2 * _CLOSED_WITHIN_S)
        except Exception:  # noqa: BLE001
            # Whatever the vendor's software raises at its end: the rest has to be ended all the same.
            _log.exception("the driver was not closed in order")
        limit.cancel()
        self._deadman.stop()
        self._link.close()
        with suppress(OSError, ValueError, KeyError):
            if json.loads(self._ready_file.read_text(encoding="utf-8"))["pid"] == os.getpid():
                self._ready_file.unlink()

    def _close_driver(self) -> None:
        if not self._has_driver():
            return
        driver, desk = self._opened.result()
        driver.safe_state()
        try:
            desk.stop_if_open()
        except EucentricError as error:
            _log.error("the session was not closed in order: %s", error)
        driver.close()
        _log.info("driver closed")
