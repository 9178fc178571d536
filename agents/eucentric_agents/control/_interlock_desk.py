"""Showing the interlocks to everyone, and letting those far away make them stricter."""

from __future__ import annotations

from pydantic import JsonValue

from eucentric_core import EucentricError, UnsupportedError

from ._faults import Faults
from ._identity import Identity
from ._notes import Notes
from ._protocols import Interlocks

__all__ = ["InterlockDesk"]


class InterlockDesk:
    """What clients do with the interlocks. Any thread may call."""

    def __init__(self, interlocks: Interlocks | None, notes: Notes, faults: Faults) -> None:
        self._interlocks = interlocks
        self._notes = notes
        self._faults = faults

    def show(self) -> dict[str, JsonValue]:
        """The limits in force, and which of them have tripped lately (`trips`)."""
        limits = {} if self._interlocks is None else self._interlocks.show()
        return {**limits, "trips": self._faults.trips()}

    def tighten(self, who: Identity, limits: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Make limits stricter; returns what `show` returns.

        Raises:
            CommandRefusedError: something is unknown, or would become wider.
            UnsupportedError: this agent has no interlocks.
        """
        details: dict[str, JsonValue] = {"limits": limits}
        try:
            if self._interlocks is None:
                raise UnsupportedError(
                    "This agent runs without interlocks.",
                    safe="nothing was changed.",
                    next_step="give it a file of limits (agent.interlocks).",
                )
            self._interlocks.tighten(limits)
        except EucentricError as error:
            self._notes.refused(who, "interlocks.tighten", error, details=details)
            raise
        self._notes.of(who, "interlocks.tighten", "done", details=details)
        return self.show()
