"""The way to the safe state, for every reason there is, and what happens when the driver fails on it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import JsonValue

from eucentric_core import CommandRefusedError, ErrorReport, EucentricError, Instrument, RemoteError
from eucentric_core.vocabulary import InstrumentState

from ._faults import Faults
from ._notes import Notes

__all__ = ["RETRY_S", "Reached", "SafeState"]

RETRY_S = 1.0
"""Pause between two attempts to make an instrument safe whose driver failed on it."""

_REPEAT_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """How long the way to the safe state took, and what the audit log keeps of it."""

    took_s: float
    details: dict[str, JsonValue]


class SafeState:
    """Blanks the beam, stops scanning, halts the stage. Any thread may call; nothing is waited for.

    What the driver fails on is on record as failed, shows as a fault, and is tried again by `watch` until
    it succeeds. A command that was already on its way to the driver when the safe state was asked
    for does not undo it: it is refused, or made safe again while and after it runs.

    Args:
        driver: the instrument.
        notes: the audit log.
        faults: where it shows that the driver has failed.
        blanking: told before the driver is asked; what it returns is called when the beam is blanked.
        look: reads the state if that is possible at once.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        driver: Instrument,
        notes: Notes,
        *,
        faults: Faults,
        blanking: Callable[[], Callable[[], None]],
        look: Callable[[], InstrumentState | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._notes = notes
        self._faults = faults
        self._blanking = blanking
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = 0
        self._reason = ""
        self._under_way: int | None = None
        self._attempts = 0
        self._next_try_s = 0.0

    @property
    def asked(self) -> int:
        """How often the safe state was asked for; a command notes it before its first check."""
        return self._asked

    def reach(self, reason: str) -> Reached:
        """Make the instrument safe, now.

        Raises:
            EucentricError: the driver failed on it; `watch` will try again.
        """
        with self._lock:
            self._asked += 1
            self._reason = reason
        began_s = self._clock()
        try:
            self._call_driver()
        except EucentricError as failure:
            self._notes.agent("safe_state", "failed", failure, details={"reason": reason})
            _log.critical("the instrument could NOT be made safe (%s): %s", reason, failure)
            raise
        took_s = self._clock() - began_s
        return Reached(took_s, {"reason": reason, **self._shown()})

    @contextmanager
    def under_way(self, asked: int) -> Iterator[None]:
        """Around a command's time at the driver.

        Args:
            asked: what `asked` was before the command's first check.

        Raises:
            CommandRefusedError: the safe state was asked for since then. If the command had reached the
                driver, the instrument was made safe once more after it.
        """
        with self._lock:
            if self._asked != asked:
                raise _overtaken(self._reason, "it was not carried out.")
            if self._faults.unsafe is not None:
                raise _unsafe(self._faults.unsafe)
            self._under_way = asked
        try:
            yield
        finally:
            with self._lock:
                self._under_way = None
                overtaken = self._asked != asked
            if overtaken:
                self._call_driver()
        if overtaken:
            raise _overtaken(self._reason, "the beam is blanked and nothing moves.")

    def watch(self) -> bool:
        """What the watchdog calls again and again.

        Tries again what the driver has failed on, and makes safe again what a command that was overtaken
        by the safe state may be undoing at the driver.

        Returns:
            Whether the driver has done what it was asked.
        """
        with self._lock:
            overtaken = self._under_way is not None and self._under_way != self._asked
            failed = self._faults.unsafe is not None
            if (failed or overtaken) and self._clock() < self._next_try_s:
                return not failed
        if not (failed or overtaken):
            return True
        try:
            self._call_driver()
        except EucentricError as failure:
            _log.critical("the instrument could NOT be made safe, attempt %d: %s", self._attempts, failure)
            return False
        if failed:
            details = {"reason": "the driver had failed on it", **self._shown()}
            self._notes.agent("safe_state", "done", details=details)
        return True

    def _call_driver(self) -> None:
        blanked = self._blanking()
        try:
            self._driver.safe_state()
        except Exception as error:
            failure = error if isinstance(error, EucentricError) else _unforeseen(error)
            with self._lock:
                self._attempts += 1
                self._faults.unsafe = failure.report()
                self._next_try_s = self._clock() + RETRY_S
            if failure is error:
                raise
            raise failure from error
        with self._lock:
            self._attempts = 0
            self._faults.unsafe = None
            self._next_try_s = self._clock() + _REPEAT_S
        blanked()

    def _shown(self) -> dict[str, JsonValue]:
        state = self._look()
        if state is None:
            # The driver says that it has blanked; more is not known while it cannot be read.
            return {"beam_blanked": True, "scanning": None}
        return {"beam_blanked": state.beam_blanked, "scanning": state.scanning}


def _overtaken(reason: str, safe: str) -> CommandRefusedError:
    return CommandRefusedError(
        f"The instrument was made safe meanwhile: {reason}.",
        safe=safe,
        next_step="read the state, then repeat the command if it is still wanted.",
    )


def _unsafe(trouble: ErrorReport) -> CommandRefusedError:
    return CommandRefusedError(
        f"The instrument could not be made safe: {trouble.what}",
        safe="unknown: the beam may be on; the agent tries again and takes no command until it succeeds.",
        next_step="blank the beam at the instrument itself.",
    )


def _unforeseen(error: Exception) -> RemoteError:
    return RemoteError(
        f"The driver failed on the safe state: {type(error).__name__}: {error}.",
        safe="unknown: the beam may be on and the stage may move; it is tried again every second.",
        next_step="blank the beam at the instrument itself, then see the agent's log.",
    )
