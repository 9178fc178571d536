"""What steering writes into the audit log, and when a full disk must not stand in the way."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from pydantic import JsonValue

from eucentric_core import CommandEnvelope, CommandRefusedError, EucentricError
from eucentric_core.vocabulary import InstrumentState

from ._audit import AuditLog, AuditWriteError, Outcome
from ._identity import Identity

__all__ = ["AGENT", "Notes"]

AGENT = "agent"
"""Who acts when the agent itself does."""

_REFUSALS_A_MINUTE = 120

_log = logging.getLogger(__name__)


class Notes:
    """Writes records about people, commands and the agent itself. Any thread may use it.

    Refused attempts are kept up to a number a minute; the next one kept says how many were not, so that
    nobody fills the disk by asking for what they must not do.

    Args:
        audit: the log.
        clock: monotonic seconds.
    """

    def __init__(self, audit: AuditLog, *, clock: Callable[[], float]) -> None:
        self._audit = audit
        self._clock = clock
        self._refused_s: deque[float] = deque(maxlen=_REFUSALS_A_MINUTE)
        self._not_kept = 0

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
        if isinstance(error, CommandRefusedError):
            self.refused(who, envelope.command.verb, error, **fields)
        else:
            self.of(who, envelope.command.verb, "done" if error is None else "failed", error, **fields)

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
        now_s, recent = self._clock(), self._refused_s
        if len(recent) == recent.maxlen and now_s - recent[0] < 60:
            self._not_kept += 1
            return
        recent.append(now_s)
        not_kept, self._not_kept = self._not_kept, 0
        more: dict[str, JsonValue] = {"refusals_not_kept": not_kept} if not_kept else {}
        self.of(who, action, "refused", error, details={**(details or {}), **more}, **fields)

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
        """The agent did something by itself."""
        self._write(AGENT, action, outcome, error, **fields)

    def _write(
        self, who: str, action: str, outcome: Outcome, error: EucentricError | None, **fields: Any
    ) -> None:
        report = None if error is None else error.report()
        try:
            self._audit.append(who, action, outcome, error=report, **fields)
        except AuditWriteError:
            # What is noted here has happened, or makes things safer: a full disk must not undo it. New
            # steering is refused all the same, because its "begun" record cannot be written.
            _log.exception("no audit record of %s by %s", action, who)


def _plain(state: InstrumentState | None) -> dict[str, JsonValue] | None:
    # Fields with no news are left out: a line of the log stays short.
    return None if state is None else state.model_dump(mode="json", exclude_defaults=True)
