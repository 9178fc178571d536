"""The connection that a subscriber's messages come over: whose key, from where, and how to end it."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import zmq

from .._settings import is_loopback
from ._marking import kernel_pace, mark_bulk
from ._pacing import Pacer

__all__ = ["Line", "sender_key"]

_log = logging.getLogger(__name__)


def sender_key(parts: Sequence[zmq.Frame]) -> str | None:
    """The key that the sender of a message has proven to hold; None where there are no keys."""
    return _text_of(parts, "User-Id") or None


def _text_of(parts: Sequence[zmq.Frame], name: str) -> str:
    try:
        return str(parts[-1].get(name))
    except (zmq.ZMQError, IndexError):
        return ""


class Line:
    """One subscriber's connection.

    Args:
        key: that the other end holds; None where there are no keys.
        address: of the other end.
        sock: a second handle on the connection, of our own; None where the system gives none.
    """

    def __init__(self, key: str | None, address: str, sock: socket.socket | None) -> None:
        self.key = key
        self.address = address
        self.socket = sock
        self._told_bytes_s: float | None = None

    @classmethod
    def of(cls, parts: Sequence[zmq.Frame], key: str | None) -> Line:
        """The connection that a message came over."""
        return cls(key, _text_of(parts, "Peer-Address"), _second_handle(parts))

    @property
    def leaves_machine(self) -> bool:
        """Whether the other end is on another machine, as far as its address tells."""
        return self.address != "" and not is_loopback(self.address.removeprefix("::ffff:"))

    def mark(self, dscp: int) -> None:
        """Let switches send what goes out here after control."""
        if self.socket is not None:
            mark_bulk(self.socket, dscp=dscp)

    def follow(self, pacer: Pacer) -> None:
        """Let the system spread out what goes out here; again when the pacer's rate has changed."""
        rate_bytes_s = pacer.kernel_rate_bytes_s
        if self.socket is not None and rate_bytes_s != self._told_bytes_s:
            self._told_bytes_s = rate_bytes_s
            kernel_pace(self.socket, rate_bytes_s)

    def cut(self) -> None:
        """End the connection now; what ZeroMQ still holds for it is not sent."""
        if self.socket is not None:
            with suppress(OSError):  # the other end was faster
                self.socket.shutdown(socket.SHUT_RDWR)
        self.let_go()

    def let_go(self) -> None:
        """Give our handle back; ZeroMQ keeps its own."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def _second_handle(parts: Sequence[zmq.Frame]) -> socket.socket | None:
    # ZeroMQ may close its descriptor at any time, and the system give the number to somebody else: only a
    # handle of our own certainly stays this connection.
    if sys.platform == "win32":
        return None
    try:
        descriptor = int(parts[-1].get(zmq.SRCFD))
        return socket.socket(fileno=os.dup(descriptor))
    except (OSError, ValueError, IndexError) as error:
        _log.debug("no handle on a subscriber's connection: %s", error)
        return None
