"""Every command passes here: who may, in which class, once, one at a time, and on record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from eucentric_core import (
    BusyError,
    CommandEnvelope,
    CommandRefusedError,
    EucentricError,
    Event,
    Instrument,
    LeaseError,
    LeaseGrant,
    LeaseLost,
    LeaseStatus,
    UnsupportedError,
)
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    Done,
    ScanAbort,
    SessionStart,
    SessionStop,
)

from ._answers import AnswerCache
from ._audit import AuditLog, AuditWriteError, Outcome
from ._lease import LeaseKeeper
from ._owner import OwnerThread
from ._readings import Readings
from ._session_desk import SessionDesk
from ._unblank import UnblankTimer

__all__ = ["Dispatcher"]

STEER_LIMIT_S = 600.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Dispatcher:
    """Carries commands from clients to one driver. Any thread may call.

    Args:
        driver: the instrument.
        desk: opens and closes sessions.
        lease: who steers.
        audit: the record of everything that changes the instrument.
        announce: tells others of an event without waiting for them.
    """

    def __init__(
        self,
        driver: Instrument,
        desk: SessionDesk,
        *,
        lease: LeaseKeeper,
        audit: AuditLog,
        announce: Callable[[Event], None],
    ) -> None:
        self._driver = driver
        self._desk = desk
        self._lease = lease
        self._audit = audit
        self._announce = announce
        self._owner = OwnerThread()
        self._answers = AnswerCache()
        self._unblanked = UnblankTimer()
        self._readings = Readings(driver)

    def execute(self, envelope: CommandEnvelope) -> CommandResult:
        """Carry out one command.

        Raises:
            UnsupportedError: the instrument has no such verb.
            LeaseError: it steers, and the envelope's epoch is not that of the current lease.
            CommandRefusedError: it is hazardous, or the driver refuses it.
            BusyError: the device is at work; nothing was queued.
            EucentricError: the device failed.
        """
        command = envelope.command
        if command.urgent:
            return self._at_once(envelope)
        if command.command_class == "observe":
            self._require_supported(envelope)
            return self._observe(command)
        answer, ours = self._answers.claim(envelope)
        if ours:
            try:
                self._admit(envelope)
                running = self._owner.steer(lambda: self._carry_out(envelope), command.verb)
            except EucentricError as error:
                self._answers.forget(envelope)
                answer.set_exception(error)
            else:
                running.add_done_callback(lambda done: _pass_on(done, answer))
        return _wait_for(answer, command.verb)

    def safe_stop(self, client: str) -> None:
        """Blank the beam, stop scanning, halt the stage. Anyone may, at any time."""
        self._make_safe()
        self._note(client, "safe_stop", "done")

    def request_lease(self, client: str, reason: str) -> LeaseGrant:
        """Grant the lease, or raise `LeaseError`."""
        grant = self._lease.request(client)
        self._note(client, "lease.request", "done", epoch=grant.epoch, details={"reason": reason})
        return grant

    def renew_lease(self, client: str, epoch: int) -> LeaseGrant:
        """Renew the lease, or raise `LeaseError`."""
        return self._lease.renew(client, epoch)

    def release_lease(self, client: str, epoch: int) -> None:
        """Give the lease back.

        The instrument stays as it is, and the time limit of an unblanked beam stays in force.
        """
        self._lease.release(client, epoch)
        self._note(client, "lease.release", "done", epoch=epoch)

    def lease_status(self) -> LeaseStatus:
        """Who steers at present."""
        return self._lease.status()

    def enforce_limits(self) -> None:
        """What the watchdog calls again and again: end a lost lease, blank a beam that is on for too long.

        Raises:
            EucentricError: the instrument could not be made safe; call again.
        """
        lost = self._lease.take_lost()
        if lost is not None:
            began_s = time.monotonic()
            self._make_safe()
            took_s = time.monotonic() - began_s
            self._lease.end_lost()
            _log.warning("%s lost the lease (epoch %d); made safe in %.3f s", lost.holder, lost.epoch, took_s)
            self._note("agent", "lease.lost", "done", epoch=lost.epoch, details={"holder": lost.holder})
            self._announce(
                LeaseLost(
                    source=self._driver.capabilities.instrument,
                    holder=lost.holder,
                    epoch=lost.epoch,
                    safe_state_s=took_s,
                )
            )
        if self._unblanked.due:
            self._driver.execute(BeamBlank())
            self._beam_was_blanked()
            self._note("agent", "beam.blank", "done", details={"reason": "the time limit of beam.unblank"})

    def make_safe(self, reason: str) -> None:
        """Put the instrument in its safe state for a reason of the agent's own."""
        self._make_safe()
        self._note("agent", "safe_state", "done", details={"reason": reason})

    def stop_session(self) -> None:
        """Close an open session, at the agent's end; see `SessionDesk.stop`."""
        self._owner.in_turn(self._desk.stop_if_open, "session.stop")

    def close(self) -> None:
        """Take no more commands."""
        self._owner.close()

    def _at_once(self, envelope: CommandEnvelope) -> CommandResult:
        self._require_supported(envelope)
        result: CommandResult = Done()
        if isinstance(envelope.command, ScanAbort):
            self._driver.abort()
        else:
            result = self._driver.execute(envelope.command)
        if isinstance(envelope.command, BeamBlank):
            self._beam_was_blanked()
        self._note(envelope.client, envelope.command.verb, "done", trace_id=envelope.trace_id)
        return result

    def _observe(self, command: Command) -> CommandResult:
        if command.verb in self._driver.capabilities.concurrent_verbs:
            return self._driver.execute(command)
        try:
            return self._owner.between_steering(lambda: self._readings.take(command), command.verb)
        except BusyError:
            last = self._readings.last(command)
            if last is None:
                raise
            return last

    def _admit(self, envelope: CommandEnvelope) -> None:
        try:
            self._require_supported(envelope)
            self._lease.check(envelope.lease_epoch)
            if envelope.command.command_class == "hazard":
                raise CommandRefusedError(
                    f"{envelope.command.verb} is hazardous and needs a role that no client has.",
                    safe="nothing was changed.",
                    next_step="do it at the instrument itself.",
                )
        except EucentricError as error:
            self._record(envelope, "refused", error)
            raise

    def _carry_out(self, envelope: CommandEnvelope) -> CommandResult:
        self._audit.append(
            envelope.client,
            envelope.command.verb,
            "begun",
            epoch=envelope.lease_epoch,
            trace_id=envelope.trace_id,
            details=envelope.command.model_dump(mode="json", exclude={"verb"}),
        )
        try:
            self._lease.check(envelope.lease_epoch)
            self._readings.refresh()
            result = self._drive(envelope)
        except EucentricError as error:
            self._record(envelope, "refused" if isinstance(error, CommandRefusedError) else "failed", error)
            raise
        self._record(envelope, "done", None)
        return result

    def _drive(self, envelope: CommandEnvelope) -> CommandResult:
        command = envelope.command
        if isinstance(command, SessionStart):
            return self._desk.start(command, trace_id=envelope.trace_id)
        if isinstance(command, SessionStop):
            return self._desk.stop()
        if not isinstance(command, BeamUnblank):
            return self._driver.execute(command)
        self._unblanked.start(command.max_duration_s)
        result = self._driver.execute(command)
        try:
            self._lease.check(envelope.lease_epoch)
        except LeaseError:
            # The watchdog may have blanked just before the driver unblanked.
            self._make_safe()
            raise
        return result

    def _make_safe(self) -> None:
        self._driver.safe_state()
        self._beam_was_blanked()

    def _beam_was_blanked(self) -> None:
        self._unblanked.clear()
        self._readings.beam_was_blanked()

    def _require_supported(self, envelope: CommandEnvelope) -> None:
        verb = envelope.command.verb
        if verb not in self._driver.capabilities.verbs:
            raise UnsupportedError(
                f"{self._driver.capabilities.instrument} has no {verb}.",
                safe="nothing was changed.",
                next_step=f"use one of {', '.join(self._driver.capabilities.verbs)}.",
                verb=verb,
            )

    def _record(self, envelope: CommandEnvelope, outcome: Outcome, error: EucentricError | None) -> None:
        self._note(
            envelope.client,
            envelope.command.verb,
            outcome,
            epoch=envelope.lease_epoch,
            trace_id=envelope.trace_id,
            error=None if error is None else error.report(),
        )

    def _note(self, who: str, action: str, outcome: Outcome, **fields: Any) -> None:
        try:
            self._audit.append(who, action, outcome, **fields)
        except AuditWriteError:
            # What is noted here has happened, or makes things safer: a full disk must not undo it. New
            # steering is refused all the same, because its "begun" record cannot be written.
            _log.exception("no audit record of %s by %s", action, who)


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
