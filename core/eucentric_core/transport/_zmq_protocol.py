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
    "Credit",
    "KeepAlive",
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


class Subscribe(FrozenModel):
    """Begin a subscription, or begin it anew after the server has forgotten it.

    `generation` rises with every attempt. What was said for an earlier one no longer counts, so that
    answers to requests that crossed on the way do no harm.
    """

    op: Literal["subscribe"] = "subscribe"
    generation: _Generation
    streams: Annotated[frozenset[Annotated[str, Field(max_length=64)]], Field(max_length=64)]
    mode: SubscriptionMode
    credit: Annotated[int, Field(ge=0, le=MAX_CREDIT)]


class KeepAlive(FrozenModel):
    """The subscriber lives. Answered by `alive`, or by `unknown` and the generation."""

    op: Literal["alive"] = "alive"
    generation: _Generation


class Credit(FrozenModel):
    """`messages` more may be sent."""

    op: Literal["credit"] = "credit"
    generation: _Generation
    messages: Annotated[int, Field(ge=1, le=MAX_CREDIT)]


class Unsubscribe(FrozenModel):
    """End the subscription."""

    op: Literal["unsubscribe"] = "unsubscribe"


AnyRequest = Annotated[Subscribe | KeepAlive | Credit | Unsubscribe, Field(discriminator="op")]

_ADAPTER: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)


def parse_request(text: bytes) -> AnyRequest:
    """The request in a JSON text.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return _ADAPTER.validate_json(text)
