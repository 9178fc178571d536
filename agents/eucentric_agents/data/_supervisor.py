"""Starting the data process, and starting it again when it dies."""

from __future__ import annotations

from eucentric_core import Settings
from eucentric_core.transport import find_free_port, require_port_free

from .._child import ChildService, RestartBudget

__all__ = ["DATA_SERVICE", "DataProcess"]

DATA_SERVICE = "agent-data"


class DataProcess(ChildService):
    """The child process that serves and records.

    Args:
        settings: effective settings; the child receives exactly these.
    """

    def __init__(self, settings: Settings) -> None:
        self.ingest_port = find_free_port()
        super().__init__(
            settings,
            service=DATA_SERVICE,
            called="data process",
            module="eucentric_agents.data",
            arguments=("--ingest-port", str(self.ingest_port)),
        )

        self.restarts = RestartBudget("data process", settings.logs / f"{DATA_SERVICE}.jsonl")

    @property
    def ingest_endpoint(self) -> str:
        """Where frames and events are published."""
        return f"tcp://127.0.0.1:{self.ingest_port}"

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
