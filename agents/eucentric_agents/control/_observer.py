"""Answering who only observes, whatever the instrument is doing."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from eucentric_core import BusyError, Instrument
from eucentric_core.vocabulary import Command, CommandResult, InstrumentState, StateGet

from ._faults import Faults
from ._owner import OwnerThread
from ._readings import Readings
from ._shared_reads import SharedReads

__all__ = ["Observer"]

LOOK_LIMIT_S = 0.25
"""Whoever has just made something safe waits no longer than this to see what has become of it."""

_STATE = StateGet()

_log = logging.getLogger(__name__)


class Observer:
    """Reads a driver in whatever way it can be read at the moment. Any thread may use it.

    Args:
        driver: the instrument.
        owner: its thread.
        readings: what was read last.
        faults: what a state has to show besides what the driver knows.
    """

    def __init__(self, driver: Instrument, owner: OwnerThread, readings: Readings, faults: Faults) -> None:
        self._driver = driver
        self._owner = owner
        self._readings = readings
        self._faults = faults
        self._in_turn = SharedReads(owner.submit, readings.take)
        # A reading that hangs keeps nobody but this thread.
        self._looking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
        self._looks = SharedReads(self._looking.submit, readings.take)

    def answer(self, command: Command) -> CommandResult:
        """Carry out a command that only observes; at a busy device the last reading answers, with its age.

        Raises:
            BusyError: the device is at work and was never read.
            EucentricError: it cannot be read.
        """
        try:
            if command.verb in self._driver.capabilities.concurrent_verbs:
                result = self._driver.execute(command)
            else:
                result = self._owner.between_steering(self._in_turn.ask(command), command.verb)
        except BusyError:
            last = self._readings.last(command)
            if last is None:
                raise
            result = last
        if isinstance(result, InstrumentState):
            fault = self._faults.unsafe or result.fault or self._faults.current
            return result.model_copy(update={"fault": fault})
        return result

    def look(self, limit_s: float = LOOK_LIMIT_S) -> InstrumentState | None:
        """The state as it is now, if it can be had within `limit_s`; never raises."""
        capabilities = self._driver.capabilities
        try:
            if _STATE.verb in capabilities.concurrent_verbs:
                return cast(InstrumentState, self._looks.ask(_STATE).result(timeout=limit_s))
            if _STATE.verb in capabilities.verbs:
                reading = self._in_turn.ask(_STATE)
                return cast(
                    InstrumentState, self._owner.between_steering(reading, _STATE.verb, limit_s=limit_s)
                )
        except (BusyError, TimeoutError):
            return None
        except Exception:  # noqa: BLE001
            # Whoever looks has just made something safe, and must come to its end.
            _log.exception("the state could not be read")
        return None

    def close(self) -> None:
        """Look no more."""
        self._looking.shutdown(wait=False, cancel_futures=True)
