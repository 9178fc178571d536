"""The audit log for people far away: its newest records, each checked against the one before."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from eucentric_core import FrozenModel, IntegrityError

from ._audit_head import read_head
from ._audit_reading import RecordFilter
from ._audit_record import START, AuditRecord, broken, parse_line

__all__ = ["AuditQuestion", "AuditView"]

_KEPT_RECORDS = 5000
_TURN_S = 1.0
_MAX_ANSWER_BYTES = 512 << 10


class AuditQuestion(FrozenModel):
    """What somebody wants to read; empty words match everything."""

    client: str = ""
    who: Annotated[str, Field(max_length=200)] = ""
    action: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class AuditView:
    """Reads on from where it was, so that a long log is checked once. Any thread may call.

    Args:
        path: of the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._offset = 0
        self._count = 0
        self._last = START
        self._broken: str | None = None
        self._records: deque[AuditRecord] = deque(maxlen=_KEPT_RECORDS)

    def answer(self, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The newest records that are wanted, the newest first, and whether the chain holds.

        `records` has them; `checked` is how many were read and `written` how many there are: the rest is
        read by the next questions, a second's worth each. `broken` names the first line that is wrong.
        """
        question = AuditQuestion.model_validate(payload)
        wanted = RecordFilter(who=question.who or None, action=question.action or None)
        with self._lock:
            # Before the log, which goes on being written: it may be ahead of the head, never behind.
            head = read_head(self._path)
            if self._read_on() and head is not None and head.records > self._count:
                missing = f"is missing: {head.records} were written"
                self._broken = broken(self._path, self._count + 1, missing).what
            found: list[JsonValue] = []
            size = 0
            for record in reversed(self._records):
                if not wanted.wants(record):
                    continue
                line = record.model_dump(mode="json", exclude_none=True)
                size += len(record.line())
                if len(found) == question.limit or size > _MAX_ANSWER_BYTES:
                    break
                found.append(line)
            return {
                "records": found,
                "checked": self._count,
                "written": self._count if head is None else max(head.records, self._count),
                "head": self._last,
                "broken": self._broken,
            }

    def _read_on(self) -> bool:
        """Read for a while; whether the end was reached."""
        if self._broken is not None:
            return False
        until_s = time.monotonic() + _TURN_S
        with self._path.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # it is being written at this moment
                try:
                    record = parse_line(line, self._path, self._count + 1)
                    if record.index != self._count or record.previous != self._last:
                        raise broken(self._path, self._count + 1, "does not follow the line before it")
                except IntegrityError as error:
                    self._broken = error.what
                    return False
                self._offset += len(line)
                self._count += 1
                self._last = record.digest
                self._records.append(record)
                if time.monotonic() > until_s:
                    return False
        return True
