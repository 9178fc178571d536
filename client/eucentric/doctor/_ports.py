"""Whether the ports of the settings are free, ours, or somebody else's."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from eucentric_core import ConfigurationError, Settings
from eucentric_core.transport import require_port_free

from ._finding import Finding

__all__ = ["check_port", "check_ports"]

_OURS = ("eucentric", "prefect", "mlflow")
"""How programs are called that may hold a port of the settings: `eucentric`, `-m eucentric_agents`, ..."""


def check_ports(settings: Settings) -> Iterator[Finding]:
    """One finding per port of this machine, and one if two settings name the same port."""
    wanted = {name: (host, port) for name, host, port in _ports(settings) if _is_local(host)}
    twice = [port for (_, port), times in Counter(wanted.values()).items() if times > 1]
    for port in twice:
        names = ", ".join(name for name, (_, other) in wanted.items() if other == port)
        yield Finding(
            name=f"port {port}",
            status="fail",
            detail=f"wanted by {names}",
            fix="give each its own port in the settings",
        )
    for name, (host, port) in wanted.items():
        yield check_port(name, host, port)


def check_port(name: str, host: str, port: int) -> Finding:
    """Whether a service could listen there, or one of ours does already."""
    try:
        require_port_free(host, port, name)
    except ConfigurationError as error:
        if "in use" not in error.what:
            return Finding(name=name, status="fail", detail=error.what, fix=error.next_step)
    else:
        return Finding(name=name, status="ok", detail=f"{host}:{port} is free")
    owner = _owner(port)
    if owner is None:
        detail, ours = f"{host}:{port} is in use by a program that cannot be seen from here", False
    else:
        ours = any(Path(word).name.startswith(_OURS) for word in owner.cmdline())
        detail = f"{host}:{port} is in use by {'our' if ours else owner.name()} process {owner.pid}"
    if ours:
        return Finding(name=name, status="ok", detail=detail)
    return Finding(
        name=name,
        status="fail",
        detail=detail,
        fix=f"stop that program, or set {name} to another port",
    )


def _ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    for role in ("agent", "edge", "repository"):
        section = getattr(settings, role)
        yield f"{role}.control_port", section.host, section.control_port
        yield f"{role}.data_port", section.host, section.data_port
    yield "dashboard.port", settings.dashboard.host, settings.dashboard.port
    for name in ("prefect_api_url", "mlflow_url"):
        url = urlsplit(getattr(settings.hub, name))
        yield f"hub.{name}", url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _owner(port: int) -> psutil.Process | None:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid is not None:
                owner = psutil.Process(connection.pid)
                owner.cmdline()
                return owner
    except psutil.Error:
        # Somebody else's process, on a system that hides it; or it has just ended.
        return None
    return None
