"""What recorder and shipper say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import ErrorReport, Event, FrozenModel, UtcDatetime

__all__ = ["Publish", "RecorderStatus", "ShipperStatus"]

Publish = Callable[[Event], None]
"""Sends an event; may raise `TransportError`, which is logged and never stops recording or shipping."""

_Count = Annotated[int, Field(ge=0)]


class RecorderStatus(FrozenModel):
    """State of a recorder. `error` says why it is paused, or what it refused last.

    `quarantined` counts frames set aside since the start, by kind of reason; `frames_quarantined` all that
    ever were in this folder. `frames_hurried` are durable, but not compressed, because compressing them would
    have been late. `unsealed_bytes` are in shards that are open, or durable and not hashed yet.
    `local_copies_bytes` may be freed at any time, because the repository has them.
    """

    state: Literal["recording", "paused", "stopped", "failed"]
    open_sessions: _Count
    frames_durable: _Count
    frames_hurried: _Count = 0
    duplicates: _Count
    refused: _Count
    shards_sealed: _Count
    shards_unsealed: _Count = 0
    unsealed_bytes: _Count = 0
    quarantined: dict[str, int] = {}
    frames_quarantined: _Count = 0
    quarantine_bytes: _Count = 0
    local_copies_bytes: _Count = 0
    free_bytes: _Count = 0
    error: ErrorReport | None = None


class ShipperStatus(FrozenModel):
    """State, backlog and progress of a shipper. `stuck` shards are kept here and need a person.

    `sending` is the file on its way, of which `sent_bytes` of `sending_bytes` have left. `eta_s` is when the
    backlog is gone at the present rate. `outage_s` is how long nothing could be shipped,
    `oldest_unreceipted_s` how long delivered shards have waited while no receipt came.
    """

    state: Literal["idle", "shipping", "retrying", "stopped", "failed"]
    pending_shards: _Count
    pending_bytes: _Count
    awaiting_receipt: _Count
    confirmed: _Count
    stuck: _Count
    failures: _Count
    error: ErrorReport | None = None
    sending: str | None = None
    sent_bytes: _Count = 0
    sending_bytes: _Count = 0
    rate_bytes_per_s: Annotated[float, Field(ge=0)] | None = None
    eta_s: Annotated[float, Field(ge=0)] | None = None
    last_success_utc: UtcDatetime | None = None
    outage_s: Annotated[float, Field(ge=0)] | None = None
    oldest_unreceipted_s: Annotated[float, Field(ge=0)] | None = None
