"""From frames on the data channel to sealed shards with a receipt, through any crash on the way."""

from __future__ import annotations

from ._errors import JournalError, disk_errors
from ._journal import Accepted, Journal
from ._ledger import Ledger, OutboxEntry, OutboxState, StuckEntry
from ._meter import ShippingMeter
from ._opening import open_journal
from ._recorder import Recorder
from ._recovery import RecoveryReport
from ._shipper import Shipper
from ._status import Publish, RecorderStatus, ShipperStatus
from ._steps import STEPS

__all__ = [
    "STEPS",
    "Accepted",
    "Journal",
    "JournalError",
    "Ledger",
    "OutboxEntry",
    "OutboxState",
    "Publish",
    "Recorder",
    "RecorderStatus",
    "RecoveryReport",
    "Shipper",
    "ShipperStatus",
    "ShippingMeter",
    "StuckEntry",
    "disk_errors",
    "open_journal",
]
