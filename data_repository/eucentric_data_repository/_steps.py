"""The steps of the repository between which a crash can come, by name; see `eucentric_core.reached`."""

from __future__ import annotations

__all__ = ["STEPS"]

STEPS = (
    # A shard has come from a far end that is not mounted.
    "inbox.fetched",
    "inbox.announced",
    # A shard is being registered.
    "register.verified",
    "register.moved",
    "register.entered",
    "register.receipted",
    "register.noted",
    "register.done",
    # A data set is being registered.
    "dataset.entered",
    "dataset.receipted",
    # The sender of what is in the inbox is told, and the inbox is emptied.
    "inbox.receipted",
    "inbox.removed",
    # A shard is being deleted by a retention rule.
    "prune.marked",
    "prune.removed",
    "prune.done",
)
"""Every step of the repository, in the order in which a shard meets them."""
