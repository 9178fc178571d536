"""Binding ZeroMQ sockets, and where they are bound."""

from __future__ import annotations

import time

import zmq

__all__ = ["bind", "endpoint_of"]

_PORT_RETURNS_WITHIN_S = 0.5


def bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind, waiting a moment for a port whose last owner has just closed it.

    ZeroMQ gives a port back a moment after `close` has returned: a server that is started again at once in
    the same process would find it taken by its predecessor.

    Raises:
        zmq.ZMQError: it cannot be bound.
    """
    deadline = time.monotonic() + _PORT_RETURNS_WITHIN_S
    while True:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(_PORT_RETURNS_WITHIN_S / 20)
        else:
            return


def endpoint_of(socket: zmq.Socket[bytes]) -> str:
    """Where a socket was bound last."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return endpoint.rstrip(b"\0").decode() if isinstance(endpoint, bytes) else str(endpoint)
