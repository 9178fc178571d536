"""What the two ends of a link's measurement say to each other: a line of JSON, then bytes without meaning."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from eucentric_core import FrozenModel, TransportError

__all__ = [
    "DEFAULT_PORT",
    "MAX_LINE_BYTES",
    "PROBE_BYTES",
    "Answer",
    "AnyRequest",
    "Echo",
    "Fill",
    "Hello",
    "Sink",
    "parse_request",
    "read_line",
    "say",
]

DEFAULT_PORT = 4390
MAX_LINE_BYTES = 1024
PROBE_BYTES = 64

_Session = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Duration = Annotated[float, Field(gt=0, le=20)]


class Hello(FrozenModel):
    """Begin: as long as this connection stands, nobody else is measured."""

    op: Literal["hello"] = "hello"


class Echo(FrozenModel):
    """From here on send every `PROBE_BYTES` back at once; `control`: marked as control is."""

    op: Literal["echo"] = "echo"
    session: _Session
    control: bool = False


class Sink(FrozenModel):
    """Take what comes, for so long, and say in the end how much came in the second half of the time."""

    op: Literal["sink"] = "sink"
    session: _Session
    duration_s: _Duration


class Fill(FrozenModel):
    """Send as much as goes, for so long."""

    op: Literal["fill"] = "fill"
    session: _Session
    duration_s: _Duration


class Answer(FrozenModel):
    """What the far end says; `problem` is empty when all is well."""

    problem: str = ""
    session: str = ""
    bytes_counted: int = 0
    counted_s: float = 0.0


AnyRequest = Annotated[Hello | Echo | Sink | Fill, Field(discriminator="op")]
_REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)


def new_session() -> str:
    """A name that another client cannot guess."""
    return secrets.token_hex(16)


def parse_request(line: bytes) -> AnyRequest:
    """The request in a line.

    Raises:
        TransportError: it is none.
    """
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        raise TransportError(
            "This is no request of a link's measurement.",
            safe="nothing was measured.",
            next_step="use the same version of eucentric at both ends.",
        ) from error


def say(sock: socket.socket, message: FrozenModel) -> None:
    """Send one line."""
    sock.sendall(message.model_dump_json().encode() + b"\n")


def read_line(sock: socket.socket, *, timeout_s: float) -> bytes:
    """The next line, byte for byte so that nothing after it is taken.

    Raises:
        TransportError: it is too long, or does not come in time, or the other end hung up.
    """
    deadline_s = time.monotonic() + timeout_s
    line = b""
    with contextlib.suppress(TimeoutError):
        while len(line) < MAX_LINE_BYTES and (left_s := deadline_s - time.monotonic()) > 0:
            sock.settimeout(left_s)
            byte = sock.recv(1)
            if not byte:
                break
            if byte == b"\n":
                return line
            line += byte
    raise TransportError(
        "The other end of the link's measurement did not speak its protocol, or not in time.",
        safe="nothing else was sent.",
        next_step="check that `eucentric doctor --serve-link` runs there, and what else has that port.",
    )
