"""What a data server says about itself and its subscribers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .._model import FrozenModel
from ._protocols import SubscriptionMode

__all__ = ["DataServerStatus", "SubscriberStatus"]

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]


class SubscriberStatus(FrozenModel):
    """One subscriber.

    Args:
        mode: lossless or newest.
        streams: that it wants; empty: all.
        address: it comes from.
        holder: of its key; None where there are no keys.
        shared_memory: whether it reads arrays where they lie.
        slots_held: of shared memory, by it and by arrays that its user keeps.
        credit: messages that may still be sent before it acknowledges some.
        backlog_messages: that wait for credit.
        backlog_bytes: of these.
        delivered_messages: so far.
        delivered_bytes: arrays among them.
        holds_back_s: for how long it has held the source back by now; None: it does not.
        silent_s: since it was heard last.
    """

    mode: SubscriptionMode
    streams: tuple[str, ...]
    address: str
    holder: str | None
    shared_memory: bool
    slots_held: _Count
    credit: _Count
    backlog_messages: _Count
    backlog_bytes: _Count
    delivered_messages: _Count
    delivered_bytes: _Count
    holds_back_s: _Seconds | None
    silent_s: _Seconds


class DataServerStatus(FrozenModel):
    """The server.

    Args:
        subscribers: all of them.
        received_messages: from producers, so far.
        received_bytes: arrays among them.
        held_back_s: how long the source was held back, all in all.
        slots_lent: of shared memory, those included whose reader does not answer.
        encrypted: whether there are keys.
    """

    subscribers: tuple[SubscriberStatus, ...]
    received_messages: _Count
    received_bytes: _Count
    held_back_s: _Seconds
    slots_lent: _Count
    encrypted: bool
