"""What packets say about themselves to whoever queues them: control first, bulk data last."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import closing

__all__ = ["BULK_DSCP", "CONTROL_DSCP", "connect_control", "kernel_pace", "mark_bulk", "mark_control"]

CONTROL_DSCP = 46
"""Expedited forwarding (RFC 3246)."""
BULK_DSCP = 1
"""Lower effort (RFC 8622)."""

_CONTROL_PRIORITY = 6
_BULK_PRIORITY = 2
_SO_MAX_PACING_RATE = 47
_UNLIMITED = 0xFFFFFFFF

_log = logging.getLogger(__name__)


def mark_control(sock: socket.socket, *, dscp: int = CONTROL_DSCP) -> bool:
    """Mark what a socket sends as control. On the server: each accepted socket, the listener is not enough.

    Returns:
        Whether the system took the mark. It does nothing on Windows, where a policy of the system marks.
    """
    return _mark(sock, dscp, _CONTROL_PRIORITY)


def mark_bulk(sock: socket.socket | int, *, dscp: int = BULK_DSCP) -> bool:
    """Mark what a socket, or a descriptor of one, sends as bulk data.

    Returns:
        Whether the system took the mark.
    """
    if isinstance(sock, socket.socket):
        return _mark(sock, dscp, _BULK_PRIORITY)
    with closing(_borrowed(sock)) as mine:
        return _mark(mine, dscp, _BULK_PRIORITY)


def kernel_pace(sock: socket.socket | int, rate_bytes_s: float | None) -> bool:
    """Let the system spread what a socket sends evenly, at most at `rate_bytes_s`; None lifts the limit.

    Returns:
        Whether it does so: on Linux, for TCP.
    """
    if sys.platform != "linux":
        return False
    rate = _UNLIMITED if rate_bytes_s is None else max(1, min(int(rate_bytes_s), _UNLIMITED - 1))
    if isinstance(sock, socket.socket):
        return _set(sock, socket.SOL_SOCKET, _SO_MAX_PACING_RATE, rate)
    with closing(_borrowed(sock)) as mine:
        return _set(mine, socket.SOL_SOCKET, _SO_MAX_PACING_RATE, rate)


def connect_control(address: tuple[str, int], timeout_s: float, *, dscp: int = CONTROL_DSCP) -> socket.socket:
    """A connection whose very first packet is marked: a stop that has to connect first is urgent, too.

    Raises:
        OSError: nobody answers at any of the host's addresses within the time-out.
    """
    host, port = address
    last: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout_s)
            mark_control(sock, dscp=dscp)
            sock.connect(where)
        except OSError as error:
            last = error
            sock.close()
        else:
            return sock
    raise last or OSError(f"{host} has no address")


def _borrowed(fd: int) -> socket.socket:
    # A duplicate, so that closing it leaves its owner's open; options belong to what both stand for.
    return socket.socket(fileno=os.dup(fd))


def _mark(sock: socket.socket, dscp: int, priority: int) -> bool:
    if sys.platform == "win32":
        return False
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    marked = True
    if sock.family == socket.AF_INET6:
        marked = _set(sock, socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        # An IPv6 socket may be talking IPv4 (a mapped address): those packets carry the other field.
        _set(sock, socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    else:
        marked = _set(sock, socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    if sys.platform == "linux":
        # After the type of service, which sets a priority of its own choice.
        marked &= _set(sock, socket.SOL_SOCKET, socket.SO_PRIORITY, priority)
    return marked


def _set(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        if value > 0x7FFFFFFF:
            sock.setsockopt(level, option, value.to_bytes(4, sys.byteorder))
        else:
            sock.setsockopt(level, option, value)
    except OSError as error:
        _log.debug("a socket does not take option %d of level %d: %s", option, level, error)
        return False
    return True
