"""One line of the audit log, and how it holds on to the line before it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import ErrorReport, FrozenModel, IntegrityError, Role, Sha256, UtcDatetime

__all__ = ["START", "AuditRecord", "Outcome", "broken", "parse_line"]

Outcome = Literal["begun", "done", "refused", "failed"]

START = "0" * 64
"""What the first record has before it."""

_SHORT = 500
_LATER_FIELDS = ("role", "before", "after")


class AuditRecord(FrozenModel):
    """One line of the log.

    `role` is that of whoever acted; `before` and `after` are the instrument's state around a command.
    `digest` is the SHA-256 of the record's JSON without `digest`; as that JSON holds the `previous`
    digest, no line can be changed, inserted or removed without breaking the chain after it.
    """

    index: Annotated[int, Field(ge=0)]
    at_utc: UtcDatetime
    who: str
    action: str
    outcome: Outcome
    epoch: int | None = None
    trace_id: str | None = None
    details: dict[str, JsonValue] = {}
    error: ErrorReport | None = None
    role: Role | None = None
    before: dict[str, JsonValue] | None = None
    after: dict[str, JsonValue] | None = None
    previous: Sha256
    digest: str = ""

    def computed_digest(self) -> str:
        """What `digest` must be."""
        return hashlib.sha256(self._json({"digest"}).encode()).hexdigest()

    def line(self) -> str:
        """The record as it stands in the log."""
        return self._json(set())

    def shortened(self) -> AuditRecord:
        """The same record without what has no bounds of its own; its details say how long it was."""
        error = self.error
        return self.model_copy(
            update={
                "trace_id": None if self.trace_id is None else self.trace_id[:_SHORT],
                "details": {"shortened_from_characters": len(self.line())},
                "error": error and error.model_copy(update={"what": error.what[:_SHORT], "details": {}}),
                "before": None,
                "after": None,
            }
        )

    def _json(self, exclude: set[str]) -> str:
        # Earlier versions did not write these: left out while empty, so that old digests hold for ever.
        empty = {name for name in _LATER_FIELDS if getattr(self, name) is None}
        return self.model_dump_json(exclude=exclude | empty)


def parse_line(line: bytes, path: Path, number: int) -> AuditRecord:
    """The record in a line, to the letter as it was written.

    Raises:
        IntegrityError: it is none, or was changed.
    """
    if not line.endswith(b"\n"):
        raise broken(path, number, "is cut short")
    try:
        record = AuditRecord.model_validate_json(line)
    except ValidationError as error:
        raise broken(path, number, "is not an audit record") from error
    # The digest covers what the line says; this covers how it says it.
    if record.digest != record.computed_digest() or line != record.line().encode() + b"\n":
        raise broken(path, number, "was changed after it was written")
    return record


def broken(path: Path, number: int, what: str) -> IntegrityError:
    """The log does not hold what was written into it."""
    return IntegrityError(
        f"Line {number} of {path.name} {what}.",
        safe="the log was not touched.",
        next_step="keep the file as evidence, move it aside, and find out who can write there.",
        line=number,
    )
