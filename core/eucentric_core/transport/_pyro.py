"""What both ends of the control channel share: one object, one method, plain JSON, small messages.

Pyro5 is hidden behind `ControlServer` and `ControlClient` because it is hardly maintained. Its wire
protocol, its daemon and its proxy are used; its server loop, its thread pool and its TLS are not:
handshakes run in the accepting thread, so that one silent connection blocks everybody; a full pool makes
that thread talk to the rejected client; the client chooses the serializer, `marshal` included; TLS is
configured once per process. A proxy belongs to one thread; a client time-out does not stop the method,
and a retry would execute it again.
"""

from __future__ import annotations

import json

import Pyro5.api
import Pyro5.serializers
from pydantic import JsonValue

from .._errors import CommandRefusedError

__all__ = ["IDLE_LIMIT_S", "MAX_CONTROL_BYTES", "MAX_WIRE_BYTES", "OBJECT_ID", "configure_pyro", "encode"]

MAX_CONTROL_BYTES = 1 << 20
"""Largest request or answer; arrays belong on the data channel."""

MAX_WIRE_BYTES = 2 * MAX_CONTROL_BYTES + 4096
"""Largest message. A text inside a JSON message: every quotation mark and backslash takes a second byte."""

IDLE_LIMIT_S = 30.0
"""The server closes a connection that asks nothing for this long."""

OBJECT_ID = "control"


def configure_pyro() -> None:
    """Set what Pyro5 keeps per process and cannot be given to one channel."""
    config = Pyro5.config
    config.MAX_MESSAGE_SIZE = MAX_WIRE_BYTES
    config.COMPRESSION = False
    config.LOGWIRE = False
    config.DETAILED_TRACEBACK = False


def encode(what: str, value: dict[str, JsonValue]) -> str:
    """A request or answer as ASCII text.

    Raises:
        CommandRefusedError: larger than `MAX_CONTROL_BYTES`, or not JSON (NaN included).
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandRefusedError(
            f"{what} is not plain JSON: {error}.",
            safe="nothing was sent.",
            next_step="give numbers, texts, lists and objects only; no NaN, no arrays.",
        ) from error
    if len(text) > MAX_CONTROL_BYTES:
        raise CommandRefusedError(
            f"{what} has {len(text)} bytes, the control channel takes {MAX_CONTROL_BYTES}.",
            safe="it was not sent.",
            next_step="send arrays over the data channel and files through transfer.",
        )
    return text
