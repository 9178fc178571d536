"""Addresses in settings: which never leave the machine, and where a machine reaches its own services."""

from __future__ import annotations

import ipaddress

__all__ = ["is_loopback", "reachable_host"]


def is_loopback(host: str) -> bool:
    """Whether an address never leaves the machine; a name other than `localhost` may."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable_host(host: str) -> str:
    """Where this machine reaches what listens at `host`: on every address means on loopback, too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
