"""The last readings of a device: the answer to who asks while the device is at work."""

from __future__ import annotations

import logging
import math
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

    What reads the driver runs on its owner thread, or on any where the driver allows that; the rest on any.

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
                last = self._last.get(command.verb)
                if last is None or last[1] <= began_s:
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

    def refresh_state(self) -> None:
        """Read the state anew where nobody else can do that meanwhile."""
        if any(isinstance(command, StateGet) for command in self._remembered):
            self.fresh_state()

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

    def unseen_beam_s(self) -> float:
        """How long ago the state was read last, if the beam was on then; 0 if it was not."""
        with self._lock:
            seen = self._last.get(StateGet().verb)
        if seen is None or not isinstance(seen[0], InstrumentState) or seen[0].beam_blanked:
            return 0.0
        return max(0.0, self._clock() - seen[1])

    @property
    def was_scanning(self) -> bool:
        """Whether the last reading shows a scan."""
        with self._lock:
            seen = self._last.get(StateGet().verb)
        return seen is not None and isinstance(seen[0], InstrumentState) and seen[0].scanning

    def unseen_s(self) -> float:
        """How long ago the state was read last; endless if it never was."""
        with self._lock:
            seen = self._last.get(StateGet().verb)
        return math.inf if seen is None else max(0.0, self._clock() - seen[1])

    def beam_was_blanked(self) -> None:
        """The driver has just blanked the beam: an older reading must not say that it is on."""
        verb = StateGet().verb
        with self._lock:
            if verb in self._last:
                reading, taken_s = self._last[verb]
                self._last[verb] = reading.model_copy(update={"beam_blanked": True}), taken_s
