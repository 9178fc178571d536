"""What the agent does about the instrument by itself, whoever steers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from eucentric_core import Event, Instrument, LeaseLost
from eucentric_core.vocabulary import BeamBlank, InstrumentState

from ._faults import Faults
from ._lease import LeaseKeeper
from ._notes import Notes
from ._planned import PlannedExposure
from ._protocols import Interlocks, Trip
from ._readings import Readings
from ._safe_state import Reached, SafeState
from ._unblank import UnblankTimer

__all__ = ["Guard"]

_TRIP_PAUSE_S = 0.25
"""A blanker may take a moment; the same trip is not acted on a second time meanwhile."""

_BLIND_LIMIT_S = 1.0
"""The beam is not left on for longer than this without a look at it."""

_log = logging.getLogger(__name__)


class Guard:
    """Ends lost leases, blanks for silent holders and after the unblank limit, watches the interlocks.

    `enforce` and `observe` are called again and again, each from a thread of its own.

    Args:
        driver: the instrument.
        lease: who steers.
        safe_state: the way there.
        notes: the audit log.
        unblanked: how long the beam may be on.
        readings: what was read last.
        planned: knows whether an acquisition keeps the device from being read.
        faults: remembers trips.
        announce: tells others of an event without waiting for them.
        blanking: told before the driver is asked; what it returns is called when the beam is blanked.
        look: reads the state if that is possible at once.
        interlocks: limits; None: there are none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        driver: Instrument,
        *,
        lease: LeaseKeeper,
        safe_state: SafeState,
        notes: Notes,
        unblanked: UnblankTimer,
        readings: Readings,
        planned: PlannedExposure,
        faults: Faults,
        announce: Callable[[Event], None],
        blanking: Callable[[], Callable[[], None]],
        look: Callable[[], InstrumentState | None],
        interlocks: Interlocks | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._lease = lease
        self._safe_state = safe_state
        self._notes = notes
        self._unblanked = unblanked
        self._readings = readings
        self._planned = planned
        self._faults = faults
        self._announce = announce
        self._blanking = blanking
        self._look = look
        self._interlocks = interlocks
        self._clock = clock
        self._told_lost = 0
        self._trip_again_s = 0.0

    def enforce(self) -> None:
        """Do now what must be done now.

        Raises:
            EucentricError: the instrument could not be made safe; call again.
        """
        # First of all: it needs nothing but the driver.
        self._end_unblanked_time()
        if not self._safe_state.watch():
            # Everything below ends in the safe state, and that is being tried already.
            return
        self._end_lost_lease()
        self._blank_for_silent_holder()

    def observe(self) -> None:
        """Let the interlocks look at the instrument.

        Raises:
            EucentricError: one has tripped, and the instrument could not be made safe.
        """
        if self._interlocks is None:
            return
        state = self._look()
        seen = state is not None and not state.age_s
        trip = _judge(self._interlocks, state) if state is not None and seen else self._judge_unseen()
        if trip is None or self._faults.unsafe is not None or self._clock() < self._trip_again_s:
            # Nothing to do, or it is being done: what the driver failed on is tried again elsewhere.
            return
        self._trip_again_s = self._clock() + _TRIP_PAUSE_S
        reason = f"interlock {trip.interlock}: {trip.what}"
        error = self._faults.trip(trip)
        reached = self._reach_and_tell(reason)
        _log.warning("an interlock has tripped: %s", reason)
        self._notes.agent("interlock.trip", "done", error, details=reached.details)

    def lease_over(self, holder: str, epoch: int, reached: Reached) -> None:
        """Tell others that a lease has ended without being released."""
        self._announce(
            LeaseLost(
                source=self._driver.capabilities.instrument,
                holder=holder,
                epoch=epoch,
                safe_state_s=reached.took_s,
            )
        )

    def _reach_and_tell(self, reason: str) -> Reached:
        # Noted first: a holder who sees the beam blanked and comes back at once is told why.
        self._lease.note_made_safe(reason)
        return self._safe_state.reach(reason)

    def _judge_unseen(self) -> Trip | None:
        if self._interlocks is None or not self._interlocks.watch_beam:
            return None
        unseen_s = self._readings.unseen_beam_s()
        if self._unblanked.running:
            unseen_s = self._readings.unseen_s()
        frame_s = self._planned.frame_s if self._readings.was_scanning else 0.0
        if unseen_s <= _BLIND_LIMIT_S + frame_s or self._planned.goes_on:
            return None
        return _Failed(
            f"The instrument could not be read for {_BLIND_LIMIT_S + frame_s:g} s, and its beam may be on.",
            next_step="read the state; do not unblank before that works, or give the instrument time.",
        )

    def _end_lost_lease(self) -> None:
        lost = self._lease.take_lost()
        if lost is None:
            return
        if self._told_lost != lost.epoch:
            reached = self._safe_state.reach(f"{lost.holder} lost the lease")
            self._told_lost = lost.epoch
            _log.warning(
                "%s lost the lease (epoch %d); made safe in %.3f s", lost.holder, lost.epoch, reached.took_s
            )
            self._notes.agent(
                "lease.lost", "done", epoch=lost.epoch, details={"holder": lost.holder, **reached.details}
            )
            self.lease_over(lost.holder, lost.epoch, reached)
        # Not before the last command under it has left the driver; until then the next tick asks again.
        self._lease.end_lost()

    def _blank_for_silent_holder(self) -> None:
        silent = self._lease.take_silent()
        if silent is None:
            return
        reason = f"{silent.holder} was not heard of"
        reached = self._reach_and_tell(reason)
        _log.warning(
            "%s is silent (epoch %d); made safe in %.3f s", silent.holder, silent.epoch, reached.took_s
        )
        self._notes.agent(
            "lease.silent", "done", epoch=silent.epoch, details={"holder": silent.holder, **reached.details}
        )

    def _end_unblanked_time(self) -> None:
        if not self._unblanked.due or self._faults.unsafe is not None:
            # What the driver has failed on is tried again by the safe state.
            return
        reason = "the time limit of beam.unblank"
        blanked = self._blanking()
        try:
            self._driver.execute(BeamBlank())
        except Exception:  # noqa: BLE001  (whatever it was, the beam has to go)
            _log.exception("the beam could not be blanked after its time limit")
            self._notes.agent("beam.blank", "done", details=self._safe_state.reach(reason).details)
            return
        blanked()
        state = self._look()
        self._notes.agent(
            "beam.blank",
            "done",
            details={
                "reason": reason,
                "beam_blanked": True if state is None else state.beam_blanked,
                "scanning": None if state is None else state.scanning,
            },
        )


@dataclass(frozen=True, slots=True)
class _Failed:
    """The interlocks themselves have failed: a beam that nobody watches must not be on."""

    what: str
    interlock: str = "interlocks"
    next_step: str = "see the agent's log, and do not unblank before the cause is found."


def _judge(interlocks: Interlocks, state: InstrumentState) -> Trip | None:
    try:
        return interlocks.observe(state)
    except Exception as error:  # noqa: BLE001  (whatever it was, nobody watches now)
        _log.exception("the interlocks failed on the state %s", state)
        return None if state.beam_blanked else _Failed(f"The interlocks failed ({type(error).__name__}).")
