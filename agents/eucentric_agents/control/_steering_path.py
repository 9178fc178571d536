"""The last metre of a steering command: fence, fresh reading, record, interlocks, driver, arrival."""

from __future__ import annotations

import time

from eucentric_core import (
    CommandEnvelope,
    CommandRefusedError,
    EucentricError,
    Instrument,
    InterlockError,
    RemoteError,
)
from eucentric_core.vocabulary import (
    BeamUnblank,
    Command,
    CommandResult,
    InstrumentState,
    MoveReport,
    SessionStart,
    SessionStop,
    StageMove,
    StageMoveBy,
    StageTilt,
)

from ..sessions import Desk
from ._arrival import require_arrival
from ._faults import Faults
from ._identity import Identity
from ._lease import LeaseKeeper
from ._notes import Notes
from ._planned import PlannedExposure
from ._protocols import Interlocks
from ._readings import Readings
from ._safe_state import SafeState
from ._unblank import UnblankTimer

__all__ = ["SteeringPath"]


class SteeringPath:
    """Carries out steering commands one at a time, on the driver's owner thread.

    Args:
        driver: the instrument.
        desk: opens and closes sessions.
        lease: who steers.
        safe_state: overtakes every command.
        notes: the audit log.
        readings: reads the state before and after.
        unblanked: how long the beam may be on.
        planned: is told while an acquisition keeps the device.
        faults: forgets a trip when steering goes on.
        interlocks: limits; None: there are none.
    """

    def __init__(
        self,
        driver: Instrument,
        desk: Desk,
        *,
        lease: LeaseKeeper,
        safe_state: SafeState,
        notes: Notes,
        readings: Readings,
        unblanked: UnblankTimer,
        planned: PlannedExposure,
        faults: Faults,
        interlocks: Interlocks | None,
    ) -> None:
        self._driver = driver
        self._desk = desk
        self._lease = lease
        self._safe_state = safe_state
        self._notes = notes
        self._readings = readings
        self._unblanked = unblanked
        self._planned = planned
        self._faults = faults
        self._interlocks = interlocks

    def carry_out(self, who: Identity, envelope: CommandEnvelope, asked: int) -> CommandResult:
        """Carry out one command, with the instrument's state before and after on record.

        Args:
            who: gives it.
            envelope: holds it.
            asked: `SafeState.asked` of before the command was admitted: it may have waited since.

        Raises:
            LeaseError: the lease is over, or somebody else's.
            InterlockError: a limit stands against it.
            CommandRefusedError: the driver refuses it, or the instrument was made safe meanwhile.
            MoveFailedError: the stage did not arrive.
            EucentricError: the device failed.
        """
        before: InstrumentState | None = None
        after: InstrumentState | None = None
        try:
            with self._lease.at_driver(who, envelope.lease_epoch, envelope.command.verb):
                before = self._readings.refresh()
                self._notes.begun(who, envelope, before)
                try:
                    result = self._drive(who, envelope, before, asked)
                finally:
                    after = self._readings.fresh_state()
        except EucentricError as error:
            self._notes.ended(who, envelope, error, before=before, after=after)
            raise
        except Exception as error:
            failure = _unforeseen(envelope, error)
            self._notes.ended(who, envelope, failure, before=before, after=after)
            raise failure from error
        self._faults.clear_trip()
        self._notes.ended(who, envelope, None, before=before, after=after)
        return result

    def _drive(
        self, who: Identity, envelope: CommandEnvelope, state: InstrumentState | None, asked: int
    ) -> CommandResult:
        try:
            with self._safe_state.under_way(asked):
                self._lease.require(who, envelope.lease_epoch)
                self._require_within_limits(envelope.command, state)
                return self._send(envelope)
        except CommandRefusedError:
            # Overtaken because the lease is over: that is what its holder has to know.
            self._lease.require(who, envelope.lease_epoch)
            raise

    def _require_within_limits(self, command: Command, state: InstrumentState | None) -> None:
        if self._interlocks is None:
            return
        if state is None:
            raise InterlockError(
                "The instrument could not be read, so its limits could not be checked.",
                safe="the command did not reach the instrument.",
                next_step="read the state; if that fails too, look at the instrument itself.",
            )
        self._interlocks.admit(command, state)

    def _send(self, envelope: CommandEnvelope) -> CommandResult:
        command = envelope.command
        if isinstance(command, SessionStart):
            return self._desk.start(command, trace_id=envelope.trace_id)
        if isinstance(command, SessionStop):
            return self._desk.stop()
        if isinstance(command, BeamUnblank):
            # Before, so that the beam is never on without a limit; after, in case it was blanked meanwhile.
            self._unblanked.start(command.max_duration_s)
            result = self._driver.execute(command)
            self._unblanked.start(command.max_duration_s)
            return result
        with self._planned.under_way(command):
            result = self._driver.execute(command)
        if isinstance(command, StageMove | StageMoveBy | StageTilt) and isinstance(result, MoveReport):
            return require_arrival(self._driver, command, result, sleep=self._wait_watched)
        return result

    def _wait_watched(self, pause_s: float) -> None:
        """While a stage is waited for on this thread, nobody else can look at some instruments."""
        time.sleep(pause_s)
        if self._interlocks is not None:
            self._readings.refresh_state()


def _unforeseen(envelope: CommandEnvelope, error: Exception) -> RemoteError:
    return RemoteError(
        f"The driver failed on {envelope.command.verb} in an unforeseen way ({type(error).__name__}).",
        safe="unknown; read the state before the next command.",
        next_step="see the agent's log.",
    )
