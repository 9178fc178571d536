"""From an instrument's name to a connection."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

from eucentric_core import (
    ConfigurationError,
    FrameFetch,
    InstrumentSettings,
    Settings,
    TlsSettings,
    load_settings,
    read_console,
)
from eucentric_core import control_connections as connections_to
from eucentric_core.transport import DataAccess

from ._scope import Scope

__all__ = ["connect", "default_client", "known_instruments"]

DEFAULT_PORT = 4310


def known_instruments(settings: Settings) -> dict[str, InstrumentSettings]:
    """The instruments this machine knows by name: those of the settings, and its own agent's."""
    own = settings.agent
    here = InstrumentSettings(host=own.reachable_host, control_port=own.control_port, data_port=own.data_port)
    return {own.name: here, **settings.instruments}


def default_client() -> str:
    """Who asks, if nothing else is said: user and machine."""
    return f"{getpass.getuser()}@{socket.gethostname().partition('.')[0]}"


def connect(
    where: str | None = None,
    control_port: int | None = None,
    *,
    client: str | None = None,
    data_port: int | None = None,
    config: Path | str | None = None,
    credentials: TlsSettings | None = None,
    console: bool = False,
    timeout_s: float = 30.0,
) -> Scope:
    """Connect to an instrument. Connecting moves nothing and needs no lease.

    Args:
        where: an instrument's name in the settings (`[instruments.NAME]`), or with `control_port` a host;
            by default this machine's own agent.
        control_port: where the agent listens, if `where` is a host.
        client: who is asking, for the audit log; by default user and machine.
        data_port: of the agent, to have the frames; by default the one after the control port.
        config: settings file (TOML).
        credentials: certificate and key; by default `[client.tls]` of the settings.
        console: use the agent's local console, which whoever may read the agent's home folder may.
        timeout_s: longest wait for one answer.

    Raises:
        ConfigurationError: no instrument of that name is known.
        ServiceUnavailableError: nobody answers there.
        NotAuthorisedError: the agent does not accept the certificate.
    """
    settings = load_settings(None if config is None else Path(config))
    client = client or settings.client.name or default_client()
    if console:
        port, token = read_console(settings.home)
        connections = connections_to("127.0.0.1", port, token=token)
        scope = Scope(
            connections,
            client=client,
            timeout_s=timeout_s,
            frames=FrameFetch(
                settings.agent.reachable_data_host,
                settings.agent.data_port,
                access=DataAccess(connections, client=client),
            ),
        )
        _require_named(scope, where)
        return scope
    address = _address(settings, where, control_port, data_port)
    credentials = credentials or settings.client.tls
    connections = connections_to(address.host, address.control_port, credentials=credentials)
    access = None if credentials is None else DataAccess(connections, client=client)
    return Scope(
        connections,
        client=client,
        timeout_s=timeout_s,
        frames=FrameFetch(address.host, address.data_port, access=access),
    )


def _require_named(scope: Scope, where: str | None) -> None:
    here = scope.capabilities.instrument
    if where is None or where == here:
        return
    scope.close()
    raise ConfigurationError(
        f"The console of this machine is that of {here!r}, not of {where!r}.",
        safe="nothing was sent.",
        next_step=f"leave the name or the console out: the console reaches {here!r} alone.",
    )


def _address(
    settings: Settings, where: str | None, control_port: int | None, data_port: int | None
) -> InstrumentSettings:
    known = known_instruments(settings)
    if control_port is not None:
        return InstrumentSettings(
            host=where or "127.0.0.1", control_port=control_port, data_port=data_port or control_port + 1
        )
    name = where or settings.agent.name
    try:
        found = known[name]
    except KeyError:
        raise ConfigurationError(
            f"No instrument named {name!r} is known here.",
            safe="nothing was sent.",
            next_step=f"use one of {', '.join(sorted(known))}, add [instruments.{name}] to the settings, or "
            "give host and port.",
        ) from None
    return found if data_port is None else found.model_copy(update={"data_port": data_port})
