"""Which session is open and how far its sequence numbers have come."""

from __future__ import annotations

from dataclasses import dataclass

from eucentric_core import CommandRefusedError
from eucentric_core.vocabulary import SessionStart

__all__ = ["OpenSession", "SessionCounter"]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What every frame of a session says about it."""

    name: str
    sample: str | None
    material: str | None


class SessionCounter:
    """Counts the acquisitions of a session from 0. The count stays readable after the session."""

    def __init__(self) -> None:
        self._open: OpenSession | None = None
        self._next = 0
        self._scans = 0

    @property
    def current(self) -> OpenSession | None:
        """The open session."""
        return self._open

    @property
    def next_sequence(self) -> int:
        """Number of the next acquisition; after a session, how many it had."""
        return self._next

    @property
    def scan(self) -> int | None:
        """Ordinal of the scan in the session, from 0; None before the first."""
        return self._scans - 1 if self._scans else None

    def begin_scan(self) -> None:
        """The frames that follow belong to another scan, perhaps of another shape."""
        self._scans += 1

    def start(self, command: SessionStart) -> None:
        """Open a session.

        Raises:
            CommandRefusedError: one is open already.
        """
        if self._open is not None:
            raise CommandRefusedError(
                f"Session {self._open.name!r} is still open.",
                safe="it goes on unchanged.",
                next_step="stop it first (session.stop).",
            )
        self._open = OpenSession(command.session, command.sample, command.material)
        self._next = 0
        self._scans = 0

    def stop(self) -> None:
        """Close the session.

        Raises:
            CommandRefusedError: none is open.
        """
        self.require()
        self._open = None

    def require(self) -> OpenSession:
        """The open session.

        Raises:
            CommandRefusedError: none is open.
        """
        if self._open is None:
            raise CommandRefusedError(
                "No session is open, and every frame belongs to one.",
                safe="nothing was scanned.",
                next_step="open a session first (session.start).",
            )
        return self._open

    def take(self) -> int:
        """Give the next acquisition its number."""
        taken = self._next
        self._next += 1
        return taken
