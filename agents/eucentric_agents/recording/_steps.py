"""The steps between which a crash can come, by name.

The code calls `reached` at each; it does nothing. A test that wants a process to die at a step replaces
`on_step` in that process, which it forked itself: no variable, option or message from outside leads there.
"""

from __future__ import annotations

from collections.abc import Callable

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
    "seal.announced",
    "seal.renamed",
    "seal.recorded",
    "seal.done",
    # A session ends.
    "session.closing",
    "session.closed",
    # What an earlier run left is being put in order.
    "recovery.copied",
    "recovery.replaced",
    # A frame that cannot be part of a data set.
    "quarantine.written",
    "quarantine.noted",
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


def _nothing(_step: str) -> None:
    """What happens at a step: nothing."""


on_step: Callable[[str], None] = _nothing


def reached(step: str) -> None:
    """Say that a step is reached. Its name is one of `STEPS`."""
    on_step(step)
