"""The data server's answer to whoever connects: exactly the admitted keys come in (ZAP, ZeroMQ RFC 27)."""

from __future__ import annotations

import logging
from typing import Final

import zmq
from zmq.utils import z85

from .._errors import ConfigurationError
from ._curve_keys import KeyRing
from ._pyro_complaints import Complaints
from ._zmq_binding import bind

__all__ = ["CurveGate"]

_ENDPOINT: Final = "inproc://zeromq.zap.01"
_DOMAIN: Final = b"eucentric-data"
_VERSION: Final = b"1.0"
_KEY_BYTES: Final = 32

_log = logging.getLogger(__name__)


class CurveGate:
    """Guards one socket. For the server's thread alone; one in a context.

    Args:
        context: of the guarded socket.
        keys: that are admitted.

    Raises:
        ConfigurationError: the context has a gate already.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: KeyRing) -> None:
        self._keys = keys
        self._complaints = Complaints()
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        try:
            bind(self.socket, _ENDPOINT)
        except zmq.ZMQError as error:
            self.socket.close()
            raise ConfigurationError(
                "Two data servers with keys were to share one ZeroMQ context.",
                safe="nothing was started.",
                next_step="report this: each needs a context of its own.",
            ) from error

    def guard(self, socket: zmq.Socket[bytes]) -> None:
        """Let only admitted keys connect to a socket; call it before binding."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        # Without an answer from here nobody is let in; the default would let in everybody.
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def answer(self) -> None:
        """Answer everybody who asks now."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            divider = parts.index(b"")
            envelope, request = parts[: divider + 1], parts[divider + 1 :]
            self.socket.send_multipart([*envelope, *self._judge(request)])

    def _judge(self, request: list[bytes]) -> list[bytes]:
        version, number, domain, address, _, mechanism, *credentials = [*request, *[b""] * 7][:7]
        key = credentials[0]
        if version == _VERSION and domain == _DOMAIN and mechanism == b"CURVE" and len(key) == _KEY_BYTES:
            public_key = z85.encode(key).decode()
            if self._keys.holder_of(public_key) is not None:
                # The name travels with every message of this connection.
                return [_VERSION, number, b"200", b"OK", public_key.encode(), b""]
        self._complaints.note(
            f"a data connection from {address.decode(errors='replace')} was refused: unknown key"
        )
        return [_VERSION, number, b"400", b"unknown key", b"", b""]
