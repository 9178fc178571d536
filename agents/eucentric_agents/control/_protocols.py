"""The seams between steering and what guards it."""

from __future__ import annotations

from typing import Protocol

from pydantic import JsonValue

from eucentric_core.vocabulary import Command, InstrumentState

__all__ = ["Interlocks", "Trip"]


class Trip(Protocol):
    """A limit that the instrument is about to pass although every command was within it."""

    @property
    def interlock(self) -> str:
        """Which limit, by its key in the file of limits."""
        ...

    @property
    def what(self) -> str:
        """What is about to happen, one sentence."""
        ...

    @property
    def next_step(self) -> str:
        """What to do about it."""
        ...


class Interlocks(Protocol):
    """Limits on what may be done to sample and instrument."""

    @property
    def watch_beam(self) -> bool:
        """Whether a limit is set that only a look at the beam can keep."""
        ...

    def admit(self, command: Command, state: InstrumentState) -> None:
        """Pass a command that is within every limit; called on the driver's thread right before the driver.

        Raises:
            InterlockError: it is not.
        """
        ...

    def observe(self, state: InstrumentState) -> Trip | None:
        """Look at a fresh state; called again and again."""
        ...

    def show(self) -> dict[str, JsonValue]:
        """The limits in force and how much of them is used."""
        ...

    def tighten(self, changes: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Make limits stricter; returns those in force.

        Raises:
            CommandRefusedError: something is unknown, or would become wider.
        """
        ...
