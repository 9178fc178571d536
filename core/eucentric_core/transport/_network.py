"""Addresses: what is local, and typed errors for ports that cannot be had."""

from __future__ import annotations

import errno
import os
import socket
import sys

from .._errors import ConfigurationError
from .._settings import is_loopback

__all__ = [
    "affordable_connections",
    "cannot_listen",
    "listen",
    "require_loopback",
    "require_port_free",
    "socket_family",
]


def affordable_connections(wanted: int) -> int:
    """As many connections as wanted, or half of the descriptors this process may have."""
    if sys.platform == "win32":
        return wanted
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if allowed == resource.RLIM_INFINITY else min(wanted, max(1, allowed // 2))


def require_loopback(host: str, channel: str) -> None:
    """Refuse to open a channel without encryption to the network.

    Raises:
        ConfigurationError: `host` is not a loopback address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"The {channel} channel was asked to listen on {host} without keys.",
            safe="no port was opened.",
            next_step="listen on 127.0.0.1 (and reach it through SSH), or give the channel its keys.",
        )


def require_port_free(host: str, port: int, purpose: str) -> None:
    """Say clearly that a port cannot be had, before anything is started.

    Raises:
        ConfigurationError: another program listens there, or this one may not.
    """
    with socket.socket(socket_family(host)) as probe:
        if os.name != "nt":
            # Ports of closed connections are free. On Windows this option would take a port from its owner.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise cannot_listen(host, port, purpose, error.errno) from error


def listen(host: str, port: int, purpose: str, *, backlog: int) -> socket.socket:
    """A listening socket that never blocks.

    Raises:
        ConfigurationError: another program listens there, or this one may not, or there is no such address.
    """
    listener = socket.socket(socket_family(host))
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, purpose, error.errno) from error
    return listener


def cannot_listen(host: str, port: int, purpose: str, code: int | None) -> ConfigurationError:
    """The error for a port that could not be bound, from the system's error number."""
    if code == errno.EADDRINUSE:
        what = f"Port {port} on {host}, wanted for {purpose}, is in use."
        next_step = "stop the program that holds it, or choose another port in the settings."
    else:
        # Names that cannot be resolved have negative numbers of their own.
        reason = os.strerror(code).lower() if code and code > 0 else "no such address"
        what = f"Port {port} on {host}, wanted for {purpose}, cannot be opened: {reason}."
        next_step = "choose another port or address in the settings."
    return ConfigurationError(what, safe="nothing was started.", next_step=next_step, port=port)


def socket_family(host: str) -> socket.AddressFamily:
    """IPv6 for an address with colons, IPv4 for everything else."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
