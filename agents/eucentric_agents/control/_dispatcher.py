"""Every command passes here: who may, in which class, once, one at a time, and on record."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from eucentric_core import (
    BusyError,
    Caller,
    CommandEnvelope,
    EucentricError,
    Event,
    Instrument,
    NotAuthorisedError,
    UnsupportedError,
)
from eucentric_core.vocabulary import BeamBlank, Command, CommandResult, Done, ScanAbort

from ..sessions import Desk
from ._access import authorise
from ._answers import AnswerCache
from ._audit import AuditLog
from ._faults import Faults
from ._guard import Guard
from ._identity import Identity
from ._interlock_desk import InterlockDesk
from ._lease import LeaseKeeper
from ._lease_desk import LeaseDesk
from ._notes import Notes
from ._observer import Observer
from ._owner import OwnerThread
from ._planned import PlannedExposure
from ._protocols import Interlocks
from ._readings import Readings
from ._safe_state import SafeState
from ._steering_path import SteeringPath
from ._unblank import UnblankTimer

__all__ = ["Dispatcher"]

STEER_LIMIT_S = 600.0

_T = TypeVar("_T")


class Dispatcher:
    """Carries commands from clients to one driver. Any thread may call.

    Args:
        driver: the instrument.
        desk: opens and closes sessions.
        lease: who steers.
        audit: the record of everything that changes the instrument.
        announce: tells others of an event without waiting for them.
        interlocks: limits on what may be done; None: there are none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        driver: Instrument,
        desk: Desk,
        *,
        lease: LeaseKeeper,
        audit: AuditLog,
        announce: Callable[[Event], None],
        interlocks: Interlocks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._desk = desk
        self._lease = lease
        self._owner = OwnerThread()
        self._answers = AnswerCache()
        self._faults = Faults()
        self._unblanked = UnblankTimer(clock=clock)
        self._readings = Readings(driver, clock=clock)
        planned = PlannedExposure(clock=clock)
        self._notes = Notes(audit, clock=clock)
        self._observer = Observer(driver, self._owner, self._readings, self._faults)
        self._safe_state = SafeState(
            driver,
            self._notes,
            faults=self._faults,
            blanking=self._blanking,
            look=self._observer.look,
            clock=clock,
        )
        self._path = SteeringPath(
            driver,
            desk,
            lease=lease,
            safe_state=self._safe_state,
            notes=self._notes,
            readings=self._readings,
            unblanked=self._unblanked,
            planned=planned,
            faults=self._faults,
            interlocks=interlocks,
        )
        self._guard = Guard(
            driver,
            lease=lease,
            safe_state=self._safe_state,
            notes=self._notes,
            unblanked=self._unblanked,
            readings=self._readings,
            planned=planned,
            faults=self._faults,
            announce=announce,
            blanking=self._blanking,
            look=self._observer.look,
            interlocks=interlocks,
            clock=clock,
        )
        self.leases = LeaseDesk(lease, self._safe_state, self._notes, self._guard.lease_over)
        self.interlocks = InterlockDesk(interlocks, self._notes, self._faults)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the instrument itself, if it could not be made safe."""
        report = self._faults.unsafe
        return None if report is None else f"the instrument could not be made safe: {report.what}"

    def admit(self, who: Identity, method: str, command: type[Command] | None = None) -> None:
        """Pass only who may; a refused attempt is on record.

        Raises:
            NotAuthorisedError: their role is too low.
        """
        try:
            authorise(who.caller, method, command)
        except NotAuthorisedError as error:
            action = method if command is None else str(command.model_fields["verb"].default)
            self._notes.refused(who, action, error)
            raise

    def execute(self, envelope: CommandEnvelope, caller: Caller) -> CommandResult:
        """Carry out one command.

        Raises:
            NotAuthorisedError: the caller's role is too low for it.
            UnsupportedError: the instrument has no such verb.
            LeaseError: it steers, and the lease is not theirs or the envelope's epoch not that of it.
            InterlockError: a limit stands against it.
            CommandRefusedError: the driver refuses it.
            BusyError: the device is at work; nothing was queued.
            EucentricError: the device failed.
        """
        command = envelope.command
        who = Identity(caller, envelope.client)
        # Before the first check: whatever is made safe from now on overtakes this command.
        asked = self._safe_state.asked
        self.admit(who, "execute", type(command))
        if command.urgent:
            return self._at_once(who, envelope)
        if command.command_class == "observe":
            self._require_supported(command)
            self._lease.heard(who, envelope.lease_epoch)
            return self._observer.answer(command)
        answer, ours = self._answers.claim(who.key, envelope)
        if ours:
            try:
                self._admit_steering(who, envelope)
                running = self._owner.steer(lambda: self._path.carry_out(who, envelope, asked), command.verb)
            except EucentricError as error:
                self._answers.forget(who.key, envelope)
                answer.set_exception(error)
            else:
                running.add_done_callback(lambda done: _pass_on(done, answer))
        return _wait_for(answer, command.verb)

    def safe_stop(self, who: Identity) -> None:
        """Blank the beam, stop scanning, halt the stage. Anyone may, at any time.

        Raises:
            EucentricError: the driver failed on it; the watchdog tries again until it succeeds.
        """
        reason = f"safe stop by {who.name}"
        try:
            reached = self._safe_state.reach(reason)
        except EucentricError as error:
            self._notes.stopped(who, "safe_stop", error)
            raise
        finally:
            self._lease.note_made_safe(reason, unless=who)
        self._notes.stopped(who, "safe_stop", None, details=reached.details)

    def enforce_limits(self) -> None:
        """What the watchdog calls again and again: see `Guard.enforce`."""
        self._guard.enforce()

    def watch_interlocks(self) -> None:
        """What a second thread of the watchdog calls again and again: see `Guard.observe`."""
        self._guard.observe()

    def make_safe(self, reason: str) -> None:
        """Put the instrument in its safe state for a reason of the agent's own.

        Raises:
            EucentricError: the driver failed on it; the watchdog tries again until it succeeds.
        """
        try:
            reached = self._safe_state.reach(reason)
        finally:
            self._lease.note_made_safe(reason)
        self._notes.agent("safe_state", "done", details=reached.details)

    def stop_session(self) -> None:
        """Close an open session, at the agent's end; see `SessionDesk.stop`."""
        self._owner.in_turn(self._desk.stop_if_open, "session.stop")

    def close(self) -> None:
        """Take no more commands."""
        self._owner.close()
        self._observer.close()
        self._notes.close()

    def _at_once(self, who: Identity, envelope: CommandEnvelope) -> CommandResult:
        command = envelope.command
        self._require_supported(command)
        result: CommandResult = Done()
        # A sign of life of now, not of when the driver has answered; noted without waiting for anything.
        self._lease.heard(who, envelope.lease_epoch)
        blanked = self._blanking()
        try:
            if isinstance(command, ScanAbort):
                self._driver.abort()
            else:
                result = self._driver.execute(command)
        except EucentricError as error:
            self._note_stop(who, envelope, error)
            raise
        if isinstance(command, BeamBlank):
            blanked()
        self._note_stop(who, envelope, None)
        return result

    def _note_stop(self, who: Identity, envelope: CommandEnvelope, error: EucentricError | None) -> None:
        self._notes.stopped(
            who, envelope.command.verb, error, epoch=envelope.lease_epoch, trace_id=envelope.trace_id
        )

    def _admit_steering(self, who: Identity, envelope: CommandEnvelope) -> None:
        try:
            self._require_supported(envelope.command)
            self._lease.check(who, envelope.lease_epoch)
        except EucentricError as error:
            self._notes.refused(who, envelope.command.verb, error, epoch=envelope.lease_epoch)
            raise

    def _blanking(self) -> Callable[[], None]:
        limit_is_over = self._unblanked.blanking()

        def blanked() -> None:
            limit_is_over()
            self._readings.beam_was_blanked()

        return blanked

    def _require_supported(self, command: Command) -> None:
        if command.verb not in self._driver.capabilities.verbs:
            raise UnsupportedError(
                f"{self._driver.capabilities.instrument} has no {command.verb}.",
                safe="nothing was changed.",
                next_step=f"use one of {', '.join(self._driver.capabilities.verbs)}.",
                verb=command.verb,
            )


def _pass_on(done: Future[CommandResult], answer: Future[CommandResult]) -> None:
    error = done.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())


def _wait_for(answer: Future[_T], verb: str) -> _T:
    try:
        return answer.result(timeout=STEER_LIMIT_S)
    except FutureTimeoutError:
        raise BusyError(
            f"{verb} has not ended within {STEER_LIMIT_S:g} s.",
            safe="the device is still at it; beam.blank and safe stop still work.",
            next_step="use safe stop, then look at the instrument.",
        ) from None
