"""Addresses: what is local, and typed errors for ports that cannot be had."""

from __future__ import annotations

import ipaddress
import socket

from .._errors import ConfigurationError

__all__ = ["find_free_port", "require_loopback", "require_port_free"]


def find_free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def require_loopback(host: str, channel: str) -> None:
    """Refuse to open a channel without encryption to the network.

    Raises:
        ConfigurationError: `host` is not a loopback address.
    """
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise ConfigurationError(
            f"The {channel} channel was asked to listen on {host} without keys.",
            safe="no port was opened.",
            next_step="listen on 127.0.0.1 (and reach it through SSH), or give the channel its keys.",
        )


def require_port_free(host: str, port: int, purpose: str) -> None:
    """Say clearly that a port is taken, before anything is started.

    Raises:
        ConfigurationError: another program listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host}, wanted for {purpose}, is in use.",
                safe="nothing was started.",
                next_step="stop the program that holds it, or choose another port in the settings.",
                port=port,
            ) from error
