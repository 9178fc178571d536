"""Sending a test data set on its way and watching it arrive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from eucentric_core import (
    BusyError,
    EucentricError,
    Event,
    FlightCheckFailed,
    FlightCheckPassed,
    Frame,
    IntegrityError,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
    TransportError,
    utc_now,
)

from ._frames import FRAMES, MATERIAL, check_frames, flight_check_instrument
from ._journey import STAGES, WAITS_FOR, Journey, Stage, stage_reached
from ._report import FlightCheckReport

__all__ = ["FlightCheck"]

_POLL_S = 0.2

_log = logging.getLogger(__name__)


class FlightCheck:
    """One at a time, and all of the way is real: channel, recorder, journal, shipper, repository.

    Args:
        agent: the agent's name.
        publish: sends a frame on the data channel.
        publish_event: sends an event there.
        look: what the journal knows of a session (instrument, session).
        goal: the last stage that a data set passes here.
        deadline_s: after this long a data set counts as stuck.
    """

    def __init__(
        self,
        agent: str,
        *,
        publish: Callable[[Frame], None],
        publish_event: Callable[[Event], None],
        look: Callable[[str, str], Journey],
        goal: Stage,
        deadline_s: float,
    ) -> None:
        self._instrument = flight_check_instrument(agent)
        self._publish = publish
        self._publish_event = publish_event
        self._look = look
        self._goal = goal
        self._deadline_s = deadline_s
        self._running = threading.Lock()
        self.last: FlightCheckReport | None = None

    @property
    def running(self) -> bool:
        """Whether a check is under way."""
        return self._running.locked()

    def start(self, stopping: threading.Event) -> None:
        """Do it on a thread of its own; it counts as `running` when this returns.

        Raises:
            BusyError: a flight check is under way.
        """
        self._begin()
        threading.Thread(target=self._complete, args=(stopping,), name="flight-check", daemon=True).start()

    def run(self, stopping: threading.Event) -> FlightCheckReport:
        """Do it, announce how it went, and remember it as `last`.

        Args:
            stopping: makes it give up.

        Raises:
            BusyError: a flight check is under way.
        """
        self._begin()
        return self._complete(stopping)

    def _begin(self) -> None:
        if not self._running.acquire(blocking=False):
            raise BusyError(
                "A flight check is under way.",
                safe="it goes on unchanged.",
                next_step="wait for its result.",
            )

    def _complete(self, stopping: threading.Event) -> FlightCheckReport:
        try:
            report = self._fly(stopping)
            self.last = report
        finally:
            self._running.release()
        self._announce(report)
        return report

    def _fly(self, stopping: threading.Event) -> FlightCheckReport:
        started_utc, start_s = utc_now(), time.monotonic()
        # To the microsecond: a second check within one second would find the first one's data, and pass.
        session = f"{started_utc:%Y%m%d-%H%M%S-%f}"
        passed_s: dict[Stage, float] = {}
        error: EucentricError | None = None
        try:
            self._send(session, started_utc)
            while self._goal not in passed_s:
                journey = self._look(self._instrument, session)
                now_s = time.monotonic() - start_s
                for stage in STAGES[: STAGES.index(stage_reached(journey)) + 1]:
                    passed_s.setdefault(stage, now_s)
                if journey.closed:
                    _require_whole(journey)
                if self._goal not in passed_s and (now_s > self._deadline_s or stopping.wait(_POLL_S)):
                    raise self._stuck(passed_s, journey)
        except EucentricError as failure:
            error = failure
        return FlightCheckReport(
            dataset_id=f"{self._instrument}.{session}",
            started_utc=started_utc,
            reached=next((stage for stage in reversed(STAGES) if stage in passed_s), None),
            passed_s=passed_s,
            goal=self._goal,
            error=error.report() if error is not None else None,
        )

    def _send(self, session: str, started_utc: datetime) -> None:
        instrument = self._instrument
        self._publish_event(
            SessionStarted(
                source=instrument, instrument=instrument, session=session, sample=MATERIAL, material=MATERIAL
            )
        )
        for frame in check_frames(instrument, session, seed=int(f"{started_utc:%Y%m%d}")):
            self._publish(frame)
        self._publish_event(
            SessionStopped(source=instrument, instrument=instrument, session=session, frames=FRAMES)
        )

    def _stuck(self, passed_s: dict[Stage, float], journey: Journey) -> ServiceUnavailableError:
        stage = next(stage for stage in STAGES if stage not in passed_s)
        waits_for, look = WAITS_FOR[stage]
        return ServiceUnavailableError(
            f"The flight check's data set is stuck: after {self._deadline_s:g} s it still waits until "
            f"{waits_for}.",
            safe="measurements behind it are kept on this machine until the repository has them.",
            next_step=f"{look}.",
            stage=stage,
            states=list(journey.states),
        )

    def _announce(self, report: FlightCheckReport) -> None:
        event: Event
        if report.error is None:
            _log.info("flight check passed: %s in %.1f s", report.dataset_id, report.took_s)
            event = FlightCheckPassed(
                source=self._instrument,
                instrument=self._instrument,
                dataset_id=report.dataset_id,
                took_s=report.took_s,
            )
        else:
            _log.error("flight check failed: %s", report.error.what)
            stage = next((stage for stage in STAGES if stage not in report.passed_s), STAGES[-1])
            event = FlightCheckFailed(
                source=self._instrument,
                instrument=self._instrument,
                dataset_id=report.dataset_id,
                stage=stage,
                error=report.error,
            )
        try:
            self._publish_event(event)
        except TransportError as unheard:
            _log.error("the flight check's result was not published: %s", unheard)


def _require_whole(journey: Journey) -> None:
    if (journey.frames, journey.missing) != (FRAMES, 0):
        raise IntegrityError(
            f"Of the flight check's {FRAMES} frames {journey.frames} were recorded, "
            f"{journey.missing} are missing.",
            safe="what was recorded is kept.",
            next_step="see the agent-data log and the journal's quarantine.",
        )
