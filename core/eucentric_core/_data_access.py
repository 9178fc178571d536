"""From settings to the keys of a service's data channel, and to its control channel."""

from __future__ import annotations

from ._settings import AgentSettings, EdgeSettings, RepositorySettings, Settings, is_loopback
from ._settings_tls import TlsSettings
from ._steering import control_connections
from .transport import DataAccess

__all__ = ["agent_data_access", "channel_credentials", "edge_data_access", "repository_data_access"]


def agent_data_access(settings: Settings, *, client: str) -> DataAccess | None:
    """What opens the data channel of the agent in these settings; None where it has no keys.

    Args:
        settings: where the agent is, and this machine's certificate (`client.tls`).
        client: who asks.
    """
    return _access(settings, settings.agent, settings.agent.tls, client)


def edge_data_access(settings: Settings, *, client: str) -> DataAccess | None:
    """What opens the data channel of the edge in these settings; see `agent_data_access`."""
    return _access(settings, settings.edge, settings.edge.channel_tls, client)


def repository_data_access(settings: Settings, *, client: str) -> DataAccess | None:
    """What opens the data channel of the repository in these settings; see `agent_data_access`."""
    return _access(settings, settings.repository, settings.repository.channel_tls, client)


def channel_credentials(settings: Settings, service: EdgeSettings | RepositorySettings) -> TlsSettings | None:
    """This machine's certificate for the control channel of a service; None where that speaks without.

    Args:
        settings: with the certificate (`client.tls`).
        service: the section that says where the service is.
    """
    without = service.channel_tls is None and is_loopback(service.host)
    return None if without else settings.client.tls


def _access(
    settings: Settings,
    service: AgentSettings | EdgeSettings | RepositorySettings,
    service_tls: TlsSettings | None,
    client: str,
) -> DataAccess | None:
    credentials = settings.client.tls
    without_keys = service_tls is None and is_loopback(service.host)
    if without_keys or credentials is None:
        return None
    connections = control_connections(service.reachable_host, service.control_port, credentials=credentials)
    return DataAccess(connections, client=client)
