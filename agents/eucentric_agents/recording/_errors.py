"""Failures of the disk under the journal, as typed errors."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eucentric_core import EucentricError, OutOfSpaceError

__all__ = ["JournalError", "disk_errors"]

_SAFE = "nothing unsaved was acknowledged; acquisition waits."


class JournalError(EucentricError):
    """The disk under the journal failed in another way than being full."""

    code = "journal"


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn errors of the file system and of SQLite into typed ones.

    Raises:
        OutOfSpaceError: no room, or over the quota.
        JournalError: anything else, e.g. an input/output error or a damaged database.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError(
                f"No room while {doing}.", safe=_SAFE, next_step="free space; recording resumes by itself."
            ) from error
        raise JournalError(
            f"The disk failed while {doing}: {error.strerror or error}.",
            safe=_SAFE,
            next_step="check the disk; recording resumes by itself when it answers.",
        ) from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OutOfSpaceError(
                f"No room while {doing}.", safe=_SAFE, next_step="free space; recording resumes by itself."
            ) from error
        raise JournalError(
            f"The journal's database failed while {doing}: {error}.",
            safe=_SAFE,
            next_step="check the disk; if the database is damaged, keep the folder and start with a new one.",
        ) from error
