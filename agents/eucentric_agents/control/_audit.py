"""The audit log: who did what with which lease, and what came of it. Append-only, hash-chained."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import (
    ErrorReport,
    EucentricError,
    FrozenModel,
    IntegrityError,
    Sha256,
    UtcDatetime,
    utc_now,
)

__all__ = ["AuditLog", "AuditRecord", "AuditSummary", "AuditWriteError", "Outcome", "verify_audit"]

Outcome = Literal["begun", "done", "refused", "failed"]

_START = "0" * 64
_TAIL_BYTES = 1 << 20

_log = logging.getLogger(__name__)


class AuditWriteError(EucentricError):
    """A record could not be written, so the command it is about is not carried out."""

    code = "audit_write"


class AuditRecord(FrozenModel):
    """One line of the log.

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
    previous: Sha256
    digest: str = ""

    def computed_digest(self) -> str:
        """What `digest` must be."""
        return hashlib.sha256(self.model_dump_json(exclude={"digest"}).encode()).hexdigest()


class AuditSummary(FrozenModel):
    """A chain that holds: how many records, and the digest of the last.

    Removing lines from the *end* leaves a shorter chain that holds as well: compare `head` with one
    noted elsewhere, such as the agent's log, which names it at every stop.
    """

    records: int
    head: Sha256


class AuditLog:
    """Appends to the log, each record on disk before `append` returns. Any thread may append.

    A last line that a power cut left unfinished is cut off and kept in a file beside the log, and a
    record says so.

    Raises:
        IntegrityError: the last complete line is not a record of this log.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        torn = _cut_torn_line(path)
        last = _last_record(path)
        self._index = 0 if last is None else last.index + 1
        self._head = _START if last is None else last.digest
        # Unbuffered: what could not be written must not come out later, behind the next record.
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        if torn is not None:
            self.append("agent", "audit.torn_line", "done", details={"kept_in": torn.name})

    @property
    def head(self) -> str:
        """Digest of the last record."""
        return self._head

    def append(self, who: str, action: str, outcome: Outcome, **fields: Any) -> None:
        """Add a record; `fields` are the optional ones of `AuditRecord`.

        Raises:
            AuditWriteError: it could not be made durable; the log is as it was before.
        """
        with self._lock:
            draft = AuditRecord(
                index=self._index,
                at_utc=utc_now(),
                who=who,
                action=action,
                outcome=outcome,
                previous=self._head,
                **fields,
            )
            record = draft.model_copy(update={"digest": draft.computed_digest()})
            self._write(record.model_dump_json().encode() + b"\n")
            self._index += 1
            self._head = record.digest

    def _write(self, line: bytes) -> None:
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the disk took only part of the record")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._size)
            raise AuditWriteError(
                f"The audit log cannot be written: {error}.",
                safe="nothing was changed that is not on record; blanking and safe stop still work.",
                next_step="free space on the disk of the agent's home folder.",
            ) from error
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
        _log.info("audit log closed", extra={"audit_head": self._head, "audit_records": self._index})


def verify_audit(path: Path) -> AuditSummary:
    """Check every line of a log against the one before it.

    Raises:
        IntegrityError: a line is no record, was changed, is missing or out of order; names the line.
    """
    head, count = _START, 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            record = _parse(line, path, number)
            if record.index != count or record.previous != head:
                raise _broken(path, number, "does not follow the line before it")
            head, count = record.digest, count + 1
    return AuditSummary(records=count, head=head)


def _parse(line: bytes, path: Path, number: int) -> AuditRecord:
    try:
        record = AuditRecord.model_validate_json(line)
    except ValidationError as error:
        raise _broken(path, number, "is not an audit record") from error
    if record.digest != record.computed_digest():
        raise _broken(path, number, "was changed after it was written")
    return record


def _broken(path: Path, number: int, what: str) -> IntegrityError:
    return IntegrityError(
        f"Line {number} of {path.name} {what}.",
        safe="the log was not touched.",
        next_step="keep the file as evidence, move it aside, and find out who can write there.",
        line=number,
    )


def _cut_torn_line(path: Path) -> Path | None:
    if not path.exists():
        return None
    content = _tail(path)
    torn = content[content.rfind(b"\n") + 1 :]
    if not torn:
        return None
    kept = path.with_name(f"{path.name}.torn-{utc_now():%Y%m%dT%H%M%SZ}")
    kept.write_bytes(torn)
    os.truncate(path, path.stat().st_size - len(torn))
    return kept


def _last_record(path: Path) -> AuditRecord | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    lines = _tail(path).splitlines()
    return _parse(lines[-1], path, number=-1)


def _tail(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return stream.read()
