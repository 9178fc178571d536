"""Starting the data process, and starting it again when it dies."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from eucentric_core import Settings
from eucentric_core.transport import find_free_port, require_port_free

from .._child import ChildService, RestartBudget
from ._desk import DOOR_VARIABLE
from ._door import DataDoor

__all__ = ["DATA_SERVICE", "DataProcess"]

DATA_SERVICE = "agent-data"


class DataProcess(ChildService):
    """The child process that serves and records.

    Args:
        settings: effective settings; the child receives exactly these.
    """

    def __init__(self, settings: Settings) -> None:
        self.ingest_port = find_free_port()
        self._token = secrets.token_urlsafe(32)
        self._door_port: int | None = None
        super().__init__(
            settings,
            service=DATA_SERVICE,
            called="data process",
            module="eucentric_agents.data",
            arguments=("--ingest-port", str(self.ingest_port)),
        )

        self.restarts = RestartBudget("data process", settings.logs / f"{DATA_SERVICE}.jsonl")

        self.door = DataDoor(lambda: self._door_port if self.running else None, self._token)
        """Where the agent asks the data process."""

    @property
    def ingest_endpoint(self) -> str:
        """Where frames and events are published."""
        return f"tcp://127.0.0.1:{self.ingest_port}"

    def launch(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Start the child and return at once; see `ChildService.launch`."""
        super().launch(environment={**(environment or {}), DOOR_VARIABLE: self._token})

    def wait_ready(self) -> dict[str, Any]:
        """Wait until the child answers; see `ChildService.wait_ready`."""
        facts = super().wait_ready()
        self._door_port = int(facts["door_port"])
        return facts

    def restart(self) -> None:
        """Start the child again after it died.

        Raises:
            ServiceUnavailableError: it did not start, or has died too often to be tried again.
        """
        self.restarts.spend()
        self.launch()
        self.wait_ready()

    def _require_ports(self) -> None:
        agent = self._settings.agent
        require_port_free(agent.data_host, agent.data_port, "the data channel")
