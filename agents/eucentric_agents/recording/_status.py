"""What recorder and shipper say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import ErrorReport, Event, FrozenModel

__all__ = ["Publish", "RecorderStatus", "ShipperStatus"]

Publish = Callable[[Event], None]
"""Sends an event; may raise `TransportError`, which is logged and never stops recording or shipping."""

_Count = Annotated[int, Field(ge=0)]


class RecorderStatus(FrozenModel):
    """State of a recorder. `error` says why it is paused, or what it refused last."""

    state: Literal["recording", "paused", "stopped", "failed"]
    open_sessions: _Count
    frames_durable: _Count
    duplicates: _Count
    refused: _Count
    shards_sealed: _Count
    error: ErrorReport | None = None


class ShipperStatus(FrozenModel):
    """State and backlog of a shipper. `stuck` shards are kept here and need a person."""

    state: Literal["idle", "shipping", "retrying", "stopped", "failed"]
    pending_shards: _Count
    pending_bytes: _Count
    awaiting_receipt: _Count
    confirmed: _Count
    stuck: _Count
    failures: _Count
    error: ErrorReport | None = None
