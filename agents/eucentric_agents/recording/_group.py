"""Messages that one flush makes durable, and how many there may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from eucentric_core import SessionStopped
from eucentric_core.transport import EVENT_STREAM, StreamMessage

from ._commit import Commit

__all__ = ["CREDIT", "GROUPS_IN_FLIGHT", "WINDOW_BYTES", "Group", "Outcome", "ends_a_session"]

Outcome = Literal["stored", "duplicate", "late", "quarantined", "refused"]

GROUPS_IN_FLIGHT = 4
_MESSAGES = 64
_BYTES = 32 << 20
_WORTH_IT_BYTES = 4 << 20
CREDIT = (GROUPS_IN_FLIGHT + 1) * _MESSAGES
"""Messages that may be here and not acknowledged: of groups that get their places, that wait for the disk and
that are on their way to it, and of one that is gathered."""

WINDOW_BYTES = 4 * _BYTES
"""The same of large messages, which would fill the shared memory that they come in."""


@dataclass
class Group:
    """Messages that were taken together; `outcomes` of those that are frames, by their position."""

    messages: list[StreamMessage] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    n_bytes: int = 0
    commit: Commit | None = None

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return len(self.messages) >= _MESSAGES or self.n_bytes >= _BYTES

    @property
    def is_worth_it(self) -> bool:
        """Whether it goes to the disk beside others as soon as nothing more comes for a moment."""
        return self.n_bytes >= _WORTH_IT_BYTES

    def add(self, message: StreamMessage) -> int:
        """Take a message in; its position."""
        self.messages.append(message)
        self.n_bytes += len(message.payload.buffer)
        return len(self.messages) - 1

    def note(self, position: int, outcome: Outcome | None) -> None:
        """What became of a message; None for an event."""
        if outcome == "duplicate":
            # Taken again, it is there: what it was the first time stays true.
            self.outcomes.setdefault(position, outcome)
        elif outcome is not None:
            self.outcomes[position] = outcome


def ends_a_session(message: StreamMessage) -> bool:
    """Whether a message is the event that ends a session."""
    if message.stream != EVENT_STREAM:
        return False
    try:
        return isinstance(message.event(), SessionStopped)
    except Exception:  # noqa: BLE001
        # Whatever is wrong with it is said where it is taken.
        return False
