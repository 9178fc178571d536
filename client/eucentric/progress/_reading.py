"""How far something is, as whoever does it has it on record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["ProgressSource", "Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How far it is.

    Attributes:
        said: where it stands, in words.
        over: whether it has ended, one way or another.
        done: steps that are finished.
        total: steps in all; None if nobody knows.
    """

    said: str
    over: bool
    done: int = 0
    total: int | None = None

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1."""
        return None if not self.total else min(1.0, self.done / self.total)


class ProgressSource(Protocol):
    """Something whose progress is on record elsewhere: asking again loses nothing."""

    name: str

    def read(self) -> Reading:
        """Ask where it stands, over a new connection where the old one is broken.

        Raises:
            TransportError: nobody answers at present.
            EucentricError: there is nothing of this name to follow.
        """

    def close(self) -> None:
        """Close the connection."""
