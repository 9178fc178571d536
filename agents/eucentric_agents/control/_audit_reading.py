"""Reading the audit log back: is it whole, and what does it say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eucentric_core import ConfigurationError, FrozenModel, Sha256

from ._audit_head import read_head
from ._audit_record import START, AuditRecord, broken, parse_line

__all__ = ["AuditSummary", "RecordFilter", "read_audit", "verify_audit"]


class AuditSummary(FrozenModel):
    """A chain that holds: how many records, and the digest of the last.

    Whoever can rewrite the whole log and the head noted beside it leaves a chain that holds as well:
    compare `head` with one noted elsewhere, such as the agent's log, which names it at every stop.
    """

    records: int
    head: Sha256


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are wanted; None: all.

    Args:
        who: the name as a whole, or the person's part of `person/program`.
        action: the action as a whole, or its first part, as `lease` for `lease.request`.
        since: nothing before this time.
    """

    who: str | None = None
    action: str | None = None
    since: datetime | None = None

    def wants(self, record: AuditRecord) -> bool:
        """Whether a record is one of those."""
        return (
            (self.who is None or self.who in (record.who, record.who.partition("/")[0]))
            and (self.action is None or self.action in (record.action, record.action.partition(".")[0]))
            and (self.since is None or record.at_utc >= self.since)
        )


def read_audit(path: Path) -> Iterator[AuditRecord]:
    """Every record of a log, each checked against the one before it.

    Raises:
        ConfigurationError: there is no such file.
        IntegrityError: a line is no record, was changed, is missing or out of order; names the first.
    """
    # Before the log, which goes on being written: it may be ahead of the head, never behind.
    noted = read_head(path)
    last, count = START, 0
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no audit log at {path}.",
            safe="nothing was changed.",
            next_step="give its path, or the --home of the agent that writes it.",
        ) from None
    with lines:
        for number, line in enumerate(lines, start=1):
            record = parse_line(line, path, number)
            if record.index != count or record.previous != last:
                raise broken(path, number, "does not follow the line before it")
            last, count = record.digest, count + 1
            if noted is not None and noted.records == count and noted.digest != last:
                raise broken(path, number, "is not the one that was written there")
            yield record
    if noted is not None and noted.records > count:
        raise broken(path, count + 1, f"is missing: {noted.records} were written")


def verify_audit(path: Path) -> AuditSummary:
    """Check every line of a log against the one before it, and the last against the head noted beside it.

    Raises:
        ConfigurationError: there is no such file.
        IntegrityError: a line is no record, was changed, is missing or out of order; names the first.
    """
    head, count = START, 0
    for record in read_audit(path):
        head, count = record.digest, count + 1
    return AuditSummary(records=count, head=head)
