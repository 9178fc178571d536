"""The processes behind a driver: one that holds it, and one that stands by with everything imported."""

from __future__ import annotations

import logging
import secrets

from eucentric_core import EucentricError, Settings

from ..._child import ChildService
from ._lines import HostLines
from ._service import DRIVER_SERVICE

__all__ = ["TOKEN_VARIABLE", "HostSlots"]

TOKEN_VARIABLE = "EUCENTRIC_DRIVER_TOKEN"  # noqa: S105  (the name of it)

_log = logging.getLogger(__name__)


class HostSlots:
    """Two places for a driver host, used in turn.

    Starting a process takes longer than a beam may stay on, so the next host is started before it is
    needed. It opens nothing until it is told to.

    Args:
        settings: effective settings; a host receives exactly these.
        ingest_port: loopback port of the data process, where the driver publishes.
    """

    def __init__(self, settings: Settings, *, ingest_port: int) -> None:
        self._token = secrets.token_urlsafe(32)
        self._active, self._spare = (
            ChildService(
                settings,
                service=service,
                called="driver host",
                module="eucentric_agents.drivers.host",
                arguments=("--ingest-port", str(ingest_port), "--service", service),
            )
            for service in (f"{DRIVER_SERVICE}-a", f"{DRIVER_SERVICE}-b")
        )

    @property
    def running(self) -> bool:
        """Whether the host that holds the driver is alive."""
        return self._active.running

    @property
    def pid(self) -> int | None:
        """Process id of the host that holds the driver."""
        return self._active.pid

    def launch(self) -> None:
        """Start the first host and return at once.

        Raises:
            ServiceUnavailableError: it cannot be started.
        """
        # Either may still hold the instrument for an agent that was killed.
        self._spare.await_predecessor()
        self._launch(self._active)

    def connect(self, lines: HostLines) -> None:
        """Wait until the host answers.

        Raises:
            ServiceUnavailableError: it ended, or did not answer in time; names its log.
        """
        lines.connect(int(self._active.wait_ready()["port"]), self._token)

    def launch_spare(self) -> None:
        """Clear away what the last host has left, start the one that stands by, and return at once."""
        try:
            self._spare.stop(grace_s=0.0)
            self._launch(self._spare)
        except EucentricError as error:
            _log.warning("no driver host stands by; replacing the present one will take longer: %s", error)

    def kill(self) -> None:
        """Kill the host that holds the driver."""
        self._active.kill()

    def swap(self) -> None:
        """Let the host that stands by take the place of the one that was killed.

        Raises:
            ServiceUnavailableError: none stands by, and none can be started.
        """
        self._active, self._spare = self._spare, self._active
        if not self._active.running:
            self._launch(self._active)

    def stop(self) -> None:
        """End both: the one that holds the driver in order."""
        self._spare.kill()
        self._active.stop()
        self._spare.stop()

    def _launch(self, child: ChildService) -> None:
        child.launch(environment={TOKEN_VARIABLE: self._token})
