"""What steering writes into the audit log, and when a full disk must not stand in the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from pydantic import JsonValue

from eucentric_core import CommandEnvelope, CommandRefusedError, ErrorReport, EucentricError, Role
from eucentric_core.vocabulary import InstrumentState

from ._audit import AuditLog, Outcome
from ._identity import AGENT, Identity
from ._record_rate import RecordRate

__all__ = ["AGENT", "Notes"]

_REFUSALS_A_MINUTE = 120
_STOPS_A_MINUTE = 120
_FAILURES_A_MINUTE = 120

_PATIENCE_S = 0.5
"""A disk that takes longer than this gets its record when it can: what watches the beam goes on."""

_log = logging.getLogger(__name__)


class Notes:
    """Writes records about people, commands and the agent itself. Any thread may use it.

    Attempts that were refused before they became commands, and what anybody may do at any time, are kept
    up to a number a minute for each caller; the next one kept says how many were not (`not_kept`), so that
    nobody fills the disk. How a command ended that had begun is always kept.

    Args:
        audit: the log.
        clock: monotonic seconds.
    """

    def __init__(self, audit: AuditLog, *, clock: Callable[[], float]) -> None:
        self._audit = audit
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._refusals = RecordRate(_REFUSALS_A_MINUTE, clock=clock)
        self._stops = RecordRate(_STOPS_A_MINUTE, clock=clock)
        self._failures = RecordRate(_FAILURES_A_MINUTE, clock=clock)

    def close(self) -> None:
        """Let what is still to be written be written."""
        self._writer.shutdown()

    def begun(self, who: Identity, envelope: CommandEnvelope, before: InstrumentState | None) -> None:
        """A steering command is about to reach the driver.

        Raises:
            AuditWriteError: this is not on record, so the command must not be carried out.
        """
        self._audit.append(
            who.name,
            envelope.command.verb,
            "begun",
            role=who.role,
            epoch=envelope.lease_epoch,
            trace_id=envelope.trace_id,
            details={**envelope.command.model_dump(mode="json", exclude={"verb"}), **who.traits()},
            before=_plain(before),
        )

    def ended(
        self,
        who: Identity,
        envelope: CommandEnvelope,
        error: EucentricError | None,
        *,
        before: InstrumentState | None = None,
        after: InstrumentState | None = None,
    ) -> None:
        """A command was carried out, refused, or failed."""
        fields: dict[str, Any] = {
            "epoch": envelope.lease_epoch,
            "trace_id": envelope.trace_id,
            "before": _plain(before),
            "after": _plain(after),
        }
        outcome: Outcome = "done" if error is None else "failed"
        if isinstance(error, CommandRefusedError):
            outcome = "refused"
        self.of(who, envelope.command.verb, outcome, error, **fields)

    def refused(
        self,
        who: Identity,
        action: str,
        error: EucentricError,
        *,
        details: dict[str, JsonValue] | None = None,
        **fields: Any,
    ) -> None:
        """Somebody asked for what they could not have."""
        not_kept = self._refusals.admit(_proven(who))
        if not_kept is not None:
            more: dict[str, JsonValue] = {"refusals_not_kept": not_kept} if not_kept else {}
            self.of(who, action, "refused", error, details={**(details or {}), **more}, **fields)

    def stopped(
        self,
        who: Identity,
        action: str,
        error: EucentricError | None,
        *,
        details: dict[str, JsonValue] | None = None,
        **fields: Any,
    ) -> None:
        """Somebody did what everybody may do at any time, as often as they like."""
        not_kept = self._stops.admit(_proven(who))
        if not_kept is None:
            return
        more: dict[str, JsonValue] = {"stops_not_kept": not_kept} if not_kept else {}
        outcome: Outcome = "done" if error is None else "failed"
        if isinstance(error, CommandRefusedError):
            outcome = "refused"
        self.of(who, action, outcome, error, details={**(details or {}), **more}, **fields)

    def of(
        self,
        who: Identity,
        action: str,
        outcome: Outcome,
        error: EucentricError | None = None,
        *,
        details: dict[str, JsonValue] | None = None,
        **fields: Any,
    ) -> None:
        """Somebody did something."""
        all_details = {**(details or {}), **who.traits()}
        self._write(who.name, action, outcome, error, role=who.role, details=all_details, **fields)

    def agent(
        self, action: str, outcome: Outcome, error: EucentricError | None = None, **fields: Any
    ) -> None:
        """The agent did something by itself, or failed on it."""
        if outcome == "failed" and self._failures.admit(action) is None:
            return
        self._write(AGENT, action, outcome, error, **fields)

    def _write(
        self, who: str, action: str, outcome: Outcome, error: EucentricError | None, **fields: Any
    ) -> None:
        report = None if error is None else error.report()

        def append() -> None:
            try:
                self._audit.append(who, action, outcome, error=report, **fields)
            except ValueError:
                # What somebody sent cannot be written as it is.
                recordable = {name: _recordable(value) for name, value in fields.items()}
                said = (
                    None if report is None else ErrorReport.model_validate(_recordable(report.model_dump()))
                )
                self._audit.append(_recordable(who), action, outcome, error=said, **recordable)

        # What is noted here has happened, or makes things safer: a full or slow disk must not undo it or
        # hold up what comes next. New steering is refused all the same while "begun" cannot be written.
        try:
            self._submit(append).result(timeout=_PATIENCE_S)
        except FutureTimeoutError:
            _log.error("the audit record of %s by %s waits for the disk", action, who)
        except Exception:  # noqa: BLE001
            _log.exception("no audit record of %s by %s", action, who)

    def _submit(self, append: Callable[[], None]) -> Future[None]:
        try:
            return self._writer.submit(append)
        except RuntimeError:
            # After `close`: the last command comes back from the driver.
            late: Future[None] = Future()
            try:
                append()
            except Exception as error:  # noqa: BLE001
                late.set_exception(error)
            else:
                late.set_result(None)
            return late


def _proven(who: Identity) -> tuple[bool, bool, str]:
    """What a caller cannot change about themselves from call to call."""
    return who.caller.authenticated, who.caller.local, who.caller.name


def _recordable(value: Any) -> Any:
    """The same with a question mark for every character that no file can hold."""
    if value is None or isinstance(value, Role):
        return value
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _plain(state: InstrumentState | None) -> dict[str, JsonValue] | None:
    # What was not read is left out, and only that: a zero is a reading.
    return None if state is None else state.model_dump(mode="json", exclude_none=True)
