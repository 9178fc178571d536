"""The data process at the agent's side: serves and records what the driver host acquires."""

from __future__ import annotations

from ._desk import DataDesk
from ._door import DataDoor, DoorAdmission
from ._link import DataLink
from ._outbox import EventOutbox
from ._report import DataReport, describe_data, describe_silence, duration, shipping_troubles
from ._shipping import RetryStuck, ShippingReport, size_of_open_shards
from ._supervisor import DATA_SERVICE, DataProcess

__all__ = [
    "DATA_SERVICE",
    "DataDesk",
    "DataDoor",
    "DataLink",
    "DataProcess",
    "DataReport",
    "DoorAdmission",
    "EventOutbox",
    "RetryStuck",
    "ShippingReport",
    "describe_data",
    "describe_silence",
    "duration",
    "shipping_troubles",
    "size_of_open_shards",
]
