"""The edges of a site: have them look for releases, and ask what they serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import JsonValue

from eucentric_core import Settings, channel_credentials, is_loopback, settings_by_instrument
from eucentric_core.transport import PyroControlClient

__all__ = ["EdgeAddress", "calling", "edges_of", "goes_by_releases"]


@dataclass(frozen=True, slots=True)
class EdgeAddress:
    """Where the control channel of an edge is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def edges_of(settings: Settings) -> tuple[EdgeAddress, ...]:
    """This site's edge first, then those of other instruments and of `hub.more_edges`; each once."""
    own = [
        EdgeAddress(seen.edge.reachable_host, seen.edge.control_port)
        for seen in settings_by_instrument(settings).values()
    ]
    others = (
        EdgeAddress(host, int(port))
        for host, _, port in (text.rpartition(":") for text in settings.hub.more_edges)
    )
    return tuple(dict.fromkeys((*own, *others)))


@contextmanager
def calling(settings: Settings, edge: EdgeAddress, *, timeout_s: float) -> Iterator[PyroControlClient]:
    """A client of an edge, closed at the end.

    Raises:
        ConfigurationError: the credentials are unusable.
    """
    own = EdgeAddress(settings.edge.reachable_host, settings.edge.control_port)
    if edge == own:
        credentials = channel_credentials(settings, settings.edge)
    else:
        credentials = None if is_loopback(edge.host) else settings.client.tls
    client = PyroControlClient(edge.host, edge.port, timeout_s=timeout_s, credentials=credentials)
    try:
        yield client
    finally:
        client.close()


def goes_by_releases(status: Mapping[str, JsonValue]) -> bool:
    """Whether an edge, by its own status, fetches what is released itself; else it is handed a folder."""
    releases = status.get("releases")
    return isinstance(releases, dict) and releases.get("goes_by") == "releases"
