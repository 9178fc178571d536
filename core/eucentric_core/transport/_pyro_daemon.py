"""Pyro's daemon without its server loop: it reads handshakes and requests, and opens nothing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import Pyro5.errors
import Pyro5.server
from Pyro5.protocol import MSG_CONNECTFAIL, SendingMessage
from Pyro5.serializers import serializers

from .._errors import EucentricError, RemoteError
from ._pyro import OBJECT_ID
from ._pyro_connection import JSON_SERIALIZER_ID, ServedConnection
from ._pyro_dispatch import Dispatcher

__all__ = ["ControlDaemon", "refusal"]

_log = logging.getLogger(__name__)


def refusal(error: EucentricError) -> bytes:
    """The message with which Pyro's handshake fails."""
    text = serializers["json"].dumps(error.report().model_dump_json())
    message = SendingMessage(MSG_CONNECTFAIL, 0, 0, JSON_SERIALIZER_ID, text)
    return bytes(message.data)


class _Directory:
    """Stands for Pyro's own object of every daemon, which answers remote questions about the daemon."""

    def __init__(self, daemon: Pyro5.server.Daemon) -> None:
        self._objects = daemon

    def get_metadata(self, object_id: str) -> dict[str, Any]:
        """What a proxy learns in the handshake. Not exposed: nobody calls it over the wire."""
        if object_id != OBJECT_ID:
            raise Pyro5.errors.DaemonError("unknown object")
        return {"methods": ["call"], "oneway": [], "attrs": []}


class ControlDaemon(Pyro5.server.Daemon):  # type: ignore[misc]  # Pyro5 is untyped
    """Answers on connections that somebody else accepts.

    Args:
        admit: given a connection and what the other end said, decides; raises `EucentricError`.
    """

    def __init__(self, admit: Callable[[ServedConnection, object], None]) -> None:
        self._admit = admit
        # Given a connected socket, Pyro opens no port and starts no thread. It never reads from this one.
        here, there = socket.socketpair()
        with there, here:
            super().__init__(connected_socket=here, interface=_Directory)
        self.register(Dispatcher(), objectId=OBJECT_ID)

    def validateHandshake(self, conn: ServedConnection, data: object) -> str:  # noqa: N802  (Pyro5's name)
        """Pyro sends the text of an exception to the other end: a report as JSON."""
        try:
            self._admit(conn, data)
        except EucentricError as error:
            raise Pyro5.errors.SecurityError(error.report().model_dump_json()) from error
        except Exception as error:
            _log.exception("a caller could not be admitted")
            unforeseen = RemoteError(
                "The service failed in an unforeseen way while it looked at who is calling.",
                safe="nothing was sent to the instrument.",
                next_step="see the service's log.",
            )
            raise Pyro5.errors.SecurityError(unforeseen.report().model_dump_json()) from error
        return "hello"

    def _sendExceptionResponse(  # noqa: N802  (Pyro5's name)
        self, connection: ServedConnection, seq: int, serializer_id: int, *_: Any, **__: Any
    ) -> None:
        # What arrives here did not come from a method but from a malformed request. Pyro would send the
        # traceback, with the paths and versions of this machine.
        refused = Pyro5.errors.ProtocolError("not a request of the control channel")
        super()._sendExceptionResponse(connection, seq, serializer_id, refused, None)
