"""Ports for services that are told their number before they start.

Between the choice and the bind somebody else may take a port. Two things do so in practice, and both are
kept out: the kernel gives ports of its ephemeral range to outgoing connections, so that range is avoided; and
another process that asks here at the same moment may be given the same number, so each is held until it ends.
"""

from __future__ import annotations

import errno
import secrets
import socket
import threading
from collections import deque
from pathlib import Path

from ._network import cannot_listen, socket_family

__all__ = ["find_free_port", "outside_ephemeral"]

_RANGE = range(20_000, 30_000)
_FEWEST = 1_000
_HELD = 128
"""Numbers that one process holds, by a file descriptor each. The oldest, long bound by then, makes room."""

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_ELSEWHERE = range(49_152, 65_536)  # RFC 6335; macOS, Windows
_HOLD_HOST = "127.0.0.1"

_held: deque[int] = deque()
_lock = threading.Lock()


def find_free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on, and that nobody else is given here until this process ends.

    (Or until it has asked for 128 more.)

    Args:
        host: where it is going to be bound.

    Raises:
        ConfigurationError: there is no such address, or every port is in use.
    """
    for port in _from_anywhere(outside_ephemeral(_ephemeral())):
        hold = _hold(port)
        if hold is None:
            continue
        try:
            with socket.socket(socket_family(host)) as probe:
                probe.bind((host, port))
        except OSError as error:
            hold.close()
            # Windows keeps ranges for itself and says "access denied" there.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise cannot_listen(host, port, "a service", error.errno) from error
        _keep(hold)
        return port
    raise cannot_listen(host, _RANGE[0], "a service", errno.EADDRINUSE)


def outside_ephemeral(ephemeral: range) -> tuple[int, ...]:
    """The ports to choose from; all, where a machine gives nearly every port to outgoing connections."""
    apart = tuple(port for port in _RANGE if port not in ephemeral)
    return apart if len(apart) >= _FEWEST else tuple(_RANGE)


def _ephemeral() -> range:
    try:
        first, last = _EPHEMERAL.read_text().split()
    except FileNotFoundError:
        return _EPHEMERAL_ELSEWHERE
    return range(int(first), int(last) + 1)


def _from_anywhere(ports: tuple[int, ...]) -> tuple[int, ...]:
    # Not Python's common generator: two processes that seed it alike must not choose alike.
    start = secrets.randbelow(len(ports))
    return ports[start:] + ports[:start]


def _hold(port: int) -> socket.socket | None:
    """Nothing here speaks UDP: a number bound there is a mark, which the kernel lifts when we end."""
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind((_HOLD_HOST, port))
    except OSError:
        mark.close()
        return None
    return mark


def _keep(mark: socket.socket) -> None:
    with _lock:
        # Bare descriptors: they are meant to stay open until the end.
        _held.append(mark.detach())
        oldest = _held.popleft() if len(_held) > _HELD else None
    if oldest is not None:
        socket.close(oldest)
