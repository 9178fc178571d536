"""What has gone wrong by itself lately: interlocks that tripped, a safe state that was not reached."""

from __future__ import annotations

import threading
from collections import deque

from pydantic import JsonValue

from eucentric_core import ErrorReport, InterlockError, utc_now

from ._protocols import Trip

__all__ = ["Faults"]

_REMEMBERED = 16


class Faults:
    """Remembers the last trips, and what the state of the instrument has to show. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trips: deque[dict[str, JsonValue]] = deque(maxlen=_REMEMBERED)
        self._tripped: ErrorReport | None = None
        self._unsafe: ErrorReport | None = None

    @property
    def current(self) -> ErrorReport | None:
        """That the instrument is not safe; else the last trip, until steering has gone on after it."""
        return self._unsafe or self._tripped

    @property
    def unsafe(self) -> ErrorReport | None:
        """Why the instrument is not known to be safe, since the driver has failed on it."""
        return self._unsafe

    @unsafe.setter
    def unsafe(self, report: ErrorReport | None) -> None:
        self._unsafe = report

    def trip(self, trip: Trip) -> InterlockError:
        """An interlock has tripped, and the instrument is made safe."""
        error = InterlockError(
            trip.what,
            safe="the agent has blanked the beam, stopped the scan and halted the stage.",
            next_step=trip.next_step,
            interlock=trip.interlock,
        )
        with self._lock:
            at_utc = utc_now().isoformat(timespec="seconds")
            self._trips.append({"at_utc": at_utc, "interlock": trip.interlock, "what": trip.what})
            self._tripped = error.report()
        return error

    def clear_trip(self) -> None:
        """Steering has gone on."""
        with self._lock:
            self._tripped = None

    def trips(self) -> list[JsonValue]:
        """The last trips, the oldest first."""
        with self._lock:
            return [dict(trip) for trip in self._trips]
