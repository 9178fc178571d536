"""The audit log: who did what with which lease, and what came of it. Append-only, hash-chained."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path
from typing import Any

from eucentric_core import EucentricError, utc_now

from ._audit_head import Head, HeadFile, read_head
from ._audit_reading import AuditSummary, read_audit, verify_audit
from ._audit_record import START, AuditRecord, Outcome, broken, parse_line

__all__ = [
    "AuditLog",
    "AuditRecord",
    "AuditSummary",
    "AuditWriteError",
    "Outcome",
    "read_audit",
    "verify_audit",
]

MAX_LINE_CHARACTERS = 16_384
"""A longer record loses what came over the wire in such length; an ordinary one has about 1,700."""

_TAIL_BYTES = 1 << 20

_log = logging.getLogger(__name__)


class AuditWriteError(EucentricError):
    """A record could not be written, so the command it is about is not carried out."""

    code = "audit_write"


class AuditLog:
    """Appends to the log, each record on disk before `append` returns. Any thread may append.

    A last line that a power cut left unfinished is cut off and kept in a file beside the log, and a
    record says so; so does one if the whole log was taken away.

    Raises:
        IntegrityError: the last complete line is not a record of this log, or lines after it are missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        noted = read_head(path)
        torn = _cut_torn_line(path)
        last = _last_record(path)
        self._index = 0 if last is None else last.index + 1
        self._head = START if last is None else last.digest
        self.earlier: AuditRecord | None = last
        """The last record of before this run."""
        if last is not None and noted is not None and noted.records > self._index:
            raise broken(path, self._index + 1, f"is missing: {noted.records} were written")
        # Unbuffered: what could not be written must not come out later, behind the next record.
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._torn = False
        self._noted = HeadFile(path)
        if torn is not None:
            self.append("agent", "audit.torn_line", "done", details={"kept_in": torn.name})
        if last is None and noted is not None and noted.records:
            details = {"records_before": noted.records, "head_before": noted.digest}
            self.append("agent", "audit.begun_anew", "done", details=details)

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
            if len(draft.line()) > MAX_LINE_CHARACTERS:
                draft = draft.shortened()
            record = draft.model_copy(update={"digest": draft.computed_digest()})
            self._write(record.line().encode() + b"\n")
            self._index += 1
            self._head = record.digest
            self._noted.note(Head(self._index, self._head))

    def _write(self, line: bytes) -> None:
        try:
            if self._torn:
                self._repair()
            self._torn = True
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the disk took only part of the record")
            os.fsync(self._file.fileno())
        except OSError as error:
            try:
                self._repair()
            except OSError:
                _log.exception("the end of the audit log could not be cut off; it is before the next record")
            raise AuditWriteError(
                f"The audit log cannot be written: {error}.",
                safe="nothing was changed that is not on record; blanking and safe stop still work.",
                next_step="free space on the disk of the agent's home folder.",
            ) from error
        self._size += len(line)
        self._torn = False

    def _repair(self) -> None:
        """Cut off what a failed write has left."""
        self._file.truncate(self._size)
        self._torn = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
            self._noted.close()
        _log.info("audit log closed", extra={"audit_head": self._head, "audit_records": self._index})


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
    lines = _tail(path).splitlines(keepends=True)
    return parse_line(lines[-1], path, number=-1)


def _tail(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return stream.read()
