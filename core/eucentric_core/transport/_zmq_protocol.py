"""What a subscriber says to a data server. The server's answers are in `DataServer`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from .._model import FrozenModel
from ._protocols import SubscriptionMode

__all__ = [
    "HEARTBEAT_INTERVAL_MS",
    "HEARTBEAT_TIMEOUT_MS",
    "MAX_CREDIT",
    "MAX_REQUEST_BYTES",
    "AnyRequest",
    "ChunkTaken",
    "Credit",
    "Drain",
    "KeepAlive",
    "Mapped",
    "ReaderFile",
    "Subscribe",
    "Unsubscribe",
    "parse_request",
]

MAX_CREDIT = 512
"""Most messages that may wait at one subscriber."""

MAX_REQUEST_BYTES = 64 << 10

HEARTBEAT_INTERVAL_MS = 10_000
HEARTBEAT_TIMEOUT_MS = 60_000

_Generation = Annotated[int, Field(ge=1)]


class ReaderFile(FrozenModel):
    """Where a subscriber on the server's machine says which slots of shared memory it has let go of."""

    name: Annotated[str, Field(max_length=64)]
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Subscribe(FrozenModel):
    """Begin a subscription, or begin it anew after the server has forgotten it.

    `generation` rises with every attempt. What was said for an earlier one no longer counts, so that
    answers to requests that crossed on the way do no harm. `reader` is given by who would use shared memory.
    """

    op: Literal["subscribe"] = "subscribe"
    generation: _Generation
    streams: Annotated[frozenset[Annotated[str, Field(max_length=64)]], Field(max_length=64)]
    mode: SubscriptionMode
    credit: Annotated[int, Field(ge=0, le=MAX_CREDIT)]
    reader: ReaderFile | None = None


class KeepAlive(FrozenModel):
    """The subscriber lives. Answered by `alive`, or by `unknown` and the generation."""

    op: Literal["alive"] = "alive"
    generation: _Generation


class Credit(FrozenModel):
    """`messages` more may be sent."""

    op: Literal["credit"] = "credit"
    generation: _Generation
    messages: Annotated[int, Field(ge=1, le=MAX_CREDIT)]


class Drain(FrozenModel):
    """Say `drained` and this number behind the last message, once nothing more is there to be sent."""

    op: Literal["drain"] = "drain"
    generation: _Generation
    number: Annotated[int, Field(ge=1, lt=1 << 63)]


class Mapped(FrozenModel):
    """The subscriber has mapped a ring of shared memory; `token`, which it has read there, proves it."""

    op: Literal["mapped"] = "mapped"
    ring: Annotated[str, Field(max_length=64)]
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class ChunkTaken(FrozenModel):
    """A message's array has arrived up to here."""

    op: Literal["chunk"] = "chunk"
    generation: _Generation
    number: Annotated[int, Field(ge=0, lt=1 << 63)]
    until: Annotated[int, Field(ge=0, lt=1 << 63)]


class Unsubscribe(FrozenModel):
    """End the subscription."""

    op: Literal["unsubscribe"] = "unsubscribe"


AnyRequest = Annotated[
    Subscribe | KeepAlive | Credit | Drain | ChunkTaken | Mapped | Unsubscribe, Field(discriminator="op")
]

_ADAPTER: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)


def parse_request(text: bytes) -> AnyRequest:
    """The request in a JSON text.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return _ADAPTER.validate_json(text)
