"""The audit log of an agent, asked for over its control channel."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import ErrorReport, FrozenModel, Role, Settings, TransportError, UtcDatetime
from eucentric_core.transport import PyroControlClient

__all__ = ["AuditAnswer", "AuditEntry", "as_csv", "as_json_lines", "matching", "read_log"]

_TIMEOUT_S = 8.0
_COLUMNS = ("index", "at_utc", "who", "role", "action", "outcome", "epoch", "details", "error")


class AuditEntry(FrozenModel):
    """One record, as the agent tells it; what this version does not show is left out."""

    index: Annotated[int, Field(ge=0)]
    at_utc: UtcDatetime
    who: str
    action: str
    outcome: str
    epoch: int | None = None
    role: Role | None = None
    trace_id: str | None = None
    details: dict[str, JsonValue] = {}
    error: ErrorReport | None = None
    before: dict[str, JsonValue] | None = None
    after: dict[str, JsonValue] | None = None
    previous: str
    digest: str


class AuditAnswer(FrozenModel):
    """Records, the newest first, and how far the chain was checked.

    Args:
        records: those that were asked for.
        checked: records whose chain holds.
        written: records there are.
        head: digest of the last that was checked.
        broken: the first line that is wrong; None if none is.
    """

    records: tuple[AuditEntry, ...]
    checked: Annotated[int, Field(ge=0)]
    written: Annotated[int, Field(ge=0)]
    head: str
    broken: str | None


def read_log(settings: Settings, *, who: str = "", action: str = "", limit: int = 200) -> AuditAnswer:
    """Ask the agent of these settings.

    Args:
        settings: of the instrument.
        who: the name, or the person's part of `person/program`.
        action: the action, or its first part.
        limit: most records.

    Raises:
        EucentricError: it does not answer, or does not understand.
    """
    agent = settings.agent
    control = PyroControlClient(
        agent.host, agent.control_port, timeout_s=_TIMEOUT_S, credentials=settings.client.tls
    )
    try:
        said = control.call(
            "audit.read", {"client": "dashboard", "who": who, "action": action, "limit": limit}
        )
        return AuditAnswer.model_validate(said)
    except ValidationError as error:
        raise TransportError(
            "The agent's answer is no audit log that this dashboard understands.",
            safe="the log itself was not touched.",
            next_step="install the same version of Eucentric on both machines.",
        ) from error
    finally:
        control.close()


def matching(records: Sequence[AuditEntry], words: str) -> tuple[AuditEntry, ...]:
    """Those in which all the words occur, anywhere, in whatever case."""
    wanted = words.lower().split()
    return tuple(one for one in records if all(word in one.model_dump_json().lower() for word in wanted))


def as_csv(records: Sequence[AuditEntry]) -> str:
    """A table for a spreadsheet; details and errors as JSON."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(_COLUMNS)
    for one in records:
        row = one.model_dump(mode="json")
        cells = (row[name] for name in _COLUMNS)
        writer.writerow([_inert(json.dumps(cell) if isinstance(cell, dict) else cell) for cell in cells])
    return target.getvalue()


def as_json_lines(records: Sequence[AuditEntry]) -> str:
    """One record per line, with the digests that chain them."""
    return "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in records)


def _inert(cell: object) -> object:
    # A spreadsheet runs what begins so; a client may call itself anything.
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell
