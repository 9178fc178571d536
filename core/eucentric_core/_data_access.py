"""From settings to the keys of an agent's data channel."""

from __future__ import annotations

from ._settings import Settings, is_loopback
from ._steering import control_connections
from .transport import DataAccess

__all__ = ["agent_data_access"]


def agent_data_access(settings: Settings, *, client: str) -> DataAccess | None:
    """What opens the data channel of the agent in these settings; None where it has no keys.

    Args:
        settings: where the agent is, and this machine's certificate (`client.tls`).
        client: who asks.
    """
    agent, credentials = settings.agent, settings.client.tls
    without_keys = agent.tls is None and is_loopback(agent.host)
    if without_keys or credentials is None:
        return None
    connections = control_connections(agent.reachable_host, agent.control_port, credentials=credentials)
    return DataAccess(connections, client=client)
