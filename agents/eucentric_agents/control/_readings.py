"""The last readings of a device: the answer to who asks while the device is at work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from eucentric_core import EucentricError, Instrument
from eucentric_core.vocabulary import Command, CommandResult, InstrumentState, MoveReport, StageGet, StateGet

__all__ = ["Readings"]

_Reading = InstrumentState | MoveReport

_log = logging.getLogger(__name__)


class Readings:
    """Reads state and stage of a driver, and remembers what it read last and when.

    `last` and `beam_was_blanked` run on any thread, the others on the driver's owner thread.

    Args:
        driver: the instrument.
        clock: monotonic seconds.
    """

    def __init__(self, driver: Instrument, *, clock: Callable[[], float] = time.monotonic) -> None:
        capabilities = driver.capabilities
        self._driver = driver
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, tuple[_Reading, float]] = {}
        self._has_state = StateGet().verb in capabilities.verbs
        # What the driver answers at any time needs no memory.
        self._remembered = tuple(
            command
            for command in (StateGet(), StageGet())
            if command.verb in capabilities.verbs and command.verb not in capabilities.concurrent_verbs
        )

    def take(self, command: Command) -> CommandResult:
        """Let the driver carry out a command that only observes, and remember what it read."""
        began_s = self._clock()
        result = self._driver.execute(command)
        if isinstance(result, _Reading):
            with self._lock:
                self._last[command.verb] = result, began_s
        return result

    def refresh(self) -> InstrumentState | None:
        """Read everything anew: what is asked for while the next command runs is as it was before it.

        Returns:
            The state; None if it could not be read.
        """
        for command in self._remembered:
            if not isinstance(command, StateGet):
                self._try(command)
        return self.fresh_state()

    def fresh_state(self) -> InstrumentState | None:
        """The state as it is now; None if it cannot be read."""
        state = self._try(StateGet()) if self._has_state else None
        return state if isinstance(state, InstrumentState) else None

    def _try(self, command: Command) -> CommandResult | None:
        try:
            return self.take(command)
        except EucentricError as error:
            # An older reading says how old it is, and the command itself may well work.
            _log.warning("%s could not be read: %s", command.verb, error)
            return None

    def last(self, command: Command) -> CommandResult | None:
        """The last reading, with its age; None if there was none."""
        with self._lock:
            if command.verb not in self._last:
                return None
            reading, taken_s = self._last[command.verb]
        return reading.model_copy(update={"age_s": max(0.0, self._clock() - taken_s)})

    def beam_was_blanked(self) -> None:
        """The driver has just blanked the beam: an older reading must not say that it is on."""
        verb = StateGet().verb
        with self._lock:
            if verb in self._last:
                reading, taken_s = self._last[verb]
                self._last[verb] = reading.model_copy(update={"beam_blanked": True}), taken_s
