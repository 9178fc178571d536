"""The names of the steps of recording and shipping between which a crash can come.

The code calls `eucentric_core.reached` at each; it does nothing outside of tests.
"""

from __future__ import annotations

from eucentric_core import reached

__all__ = ["STEPS", "reached"]

STEPS = (
    # A frame is being made durable.
    "journal.opened",
    "journal.frame.written",
    "journal.chunks.durable",
    "journal.records.written",
    "journal.durable",
    # A shard is being sealed.
    "seal.begun",
    "seal.closed",
    "seal.vouched",
    "seal.announced",
    "seal.linked",
    "seal.renamed",
    "seal.recorded",
    "seal.done",
    # A session ends.
    "session.closing",
    "session.closed",
    # What an earlier run left is being put in order.
    "recovery.copied",
    "recovery.replaced",
    "recovery.hashed",
    "recovery.announced",
    # A frame that cannot be part of a data set.
    "quarantine.written",
    "quarantine.noted",
    # What may not be lost is in the chronicle, and not yet in the database.
    "ledger.written",
    # A shard is on its way to the repository.
    "ship.begun",
    "ship.delivered",
    "ship.documented",
    "ship.noted",
    "receipt.found",
    "receipt.stored",
    "delete.removed",
    "delete.noted",
)
"""Every step of recording and shipping, in the order in which a frame meets them."""
