"""A flight check every night."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from eucentric_core import BusyError

__all__ = ["FlightCheckSchedule", "next_start"]

_LONGEST_WAIT_S = 60.0
_JOIN_S = 5.0

_log = logging.getLogger(__name__)


def next_start(now_utc: datetime, at_utc: time) -> datetime:
    """The next moment at which the clock shows `at_utc`; later than now."""
    today = datetime.combine(now_utc.astimezone(UTC).date(), at_utc.replace(tzinfo=UTC))
    return today if today > now_utc else today + timedelta(days=1)


class FlightCheckSchedule:
    """A thread that runs a check at the same time every day, until stopped.

    It looks at the clock every minute, so that a clock that is set, or a machine that slept, delays a check
    by no more than that.

    Args:
        at_utc: time of day.
        run: does one check; is told when to give up.
        clock: the time now, UTC.
    """

    def __init__(
        self,
        at_utc: time,
        run: Callable[[threading.Event], object],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        longest_wait_s: float = _LONGEST_WAIT_S,
    ) -> None:
        self._at_utc = at_utc
        self._run_check = run
        self._clock = clock
        self._longest_wait_s = longest_wait_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flight-check", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a check under way is given up."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=_JOIN_S)

    def _run(self) -> None:
        due = next_start(self._clock(), self._at_utc)
        _log.info("the next flight check is due at %s", due.isoformat(timespec="minutes"))
        while not self._stopping.is_set():
            now = self._clock()
            if now >= due:
                try:
                    self._run_check(self._stopping)
                except BusyError:
                    _log.info("somebody has asked for a flight check at this moment: it is tonight's")
                due = next_start(self._clock(), self._at_utc)
                continue
            self._stopping.wait(min((due - now).total_seconds(), self._longest_wait_s))
