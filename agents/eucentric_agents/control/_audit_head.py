"""How long the audit log is and how it ends, noted beside it: lines cut off its end are missed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Head", "HeadFile", "read_head"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    """How many records a log had, and the digest of the last of them."""

    records: int
    digest: str


def _path(log: Path) -> Path:
    return log.with_suffix(".head")


def read_head(log: Path) -> Head | None:
    """What was noted last; None if nothing readable was."""
    try:
        records, digest = _path(log).read_text(encoding="ascii").split()
        return Head(int(records), digest)
    except (OSError, ValueError):
        return None


class HeadFile:
    """Notes the head after every record.

    It is not forced onto the disk as the records are: after a power cut it may be behind the log, and
    never ahead of it.
    """

    def __init__(self, log: Path) -> None:
        path = _path(log)
        path.touch()
        self._file = path.open("r+b", buffering=0)

    def note(self, head: Head) -> None:
        """The log has this head now."""
        try:
            # Always of one length: written over, it is never half of one and half of another.
            self._file.seek(0)
            self._file.write(f"{head.records:020d} {head.digest}\n".encode())
        except OSError as error:
            _log.warning("the head of the audit log was not noted: %s", error)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
