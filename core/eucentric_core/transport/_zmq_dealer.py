"""A subscriber's socket: how it is opened, and how requests leave by it."""

from __future__ import annotations

import logging

import zmq

from .._frame import MAX_FRAME_BYTES
from ._curve_keys import ClientKeys
from ._zmq_protocol import HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, AnyRequest

__all__ = ["open_dealer", "say"]

_LINGER_MS = 500

_log = logging.getLogger(__name__)


def open_dealer(
    context: zmq.Context[zmq.Socket[bytes]], where: str, keys: ClientKeys | None
) -> zmq.Socket[bytes]:
    """A socket that connects to a data server, and goes on trying.

    Args:
        context: of the process.
        where: `host:port`, with brackets around an IPv6 address.
        keys: to prove ourselves with; None: the server has none.
    """
    dealer = context.socket(zmq.DEALER)
    try:
        dealer.setsockopt(zmq.LINGER, _LINGER_MS)
        dealer.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        dealer.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
        dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        dealer.setsockopt(zmq.IPV6, int(where.startswith("[")))
        if keys is not None:
            dealer.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            dealer.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            dealer.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        dealer.connect(f"tcp://{where}")
    except BaseException:
        dealer.close()
        raise
    return dealer


def say(dealer: zmq.Socket[bytes], request: AnyRequest) -> None:
    """Send a request, if there is room."""
    try:
        dealer.send(request.model_dump_json().encode(), flags=zmq.NOBLOCK)
    except zmq.Again:
        # The server has been gone for so long that a thousand requests wait. Losing one is harmless: what
        # it said is said again by the next keep-alive's answer.
        _log.debug("request to a missing data service dropped")
