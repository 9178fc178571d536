"""How far a test data set has come, told from what the journal knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["STAGES", "WAITS_FOR", "Journey", "Stage", "stage_reached"]

Stage = Literal["publish", "record", "seal", "ship", "register", "free"]

STAGES: tuple[Stage, ...] = ("publish", "record", "seal", "ship", "register", "free")
"""In the order in which a data set passes them."""

WAITS_FOR: dict[Stage, tuple[str, str]] = {
    "publish": ("the data channel takes its frames", "see the agent-data log"),
    "record": ("the recorder makes its frames durable", "see `eucentric agent status`: is the disk full?"),
    "seal": ("its shards are sealed", "see the agent-data log and the journal's quarantine"),
    "ship": ("its shards reach the far end", "see `eucentric agent shipping` and the far end's address"),
    "register": (
        "the repository answers with receipts",
        "check that the repository's service runs, and its quarantine",
    ),
    "free": ("its local copies are let go", "see the agent-data log"),
}
"""What a data set stuck before a stage waits for, and where to look."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What the journal knows of a session.

    Args:
        known: whether it has the session, that is: a frame or its start is durable.
        closed: whether all of it is sealed and its manifest written.
        frames: acquisitions in its shards.
        missing: acquisitions listed as missing.
        states: state of each of its outbox entries, see `OutboxState`.
    """

    known: bool = False
    closed: bool = False
    frames: int = 0
    missing: int = 0
    states: tuple[str, ...] = ()


def stage_reached(journey: Journey) -> Stage:
    """The last stage that the whole data set has passed, once it was published."""
    if not journey.known:
        return "publish"
    if not journey.closed:
        return "record"
    states = set(journey.states)
    if states & {"pending", "stuck"} or not states:
        return "seal"
    if "delivered" in states:
        return "ship"
    return "register" if "confirmed" in states else "free"
