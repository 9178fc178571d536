"""Reads the record of runs, which is the flows' own truth."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from eucentric_core import DataFormatError
from eucentric_flows import RunRecord, RunView

__all__ = ["RunsReader"]

_SHOWN_RUNS = 20


class RunsReader:
    """The newest runs. A record that is not there yet is an empty one.

    Args:
        path: file of the record; it is never made here.
        limit: most runs to read.
    """

    def __init__(self, path: Path, *, limit: int = _SHOWN_RUNS) -> None:
        self._path = path
        self._limit = limit
        self._record: RunRecord | None = None

    def __call__(self) -> tuple[RunView, ...]:
        """Read once, the newest first.

        Raises:
            DataFormatError: the file is not such a record, or stays locked.
        """
        if not self._path.exists():
            self.close()
            return ()
        try:
            if self._record is None:
                self._record = RunRecord(self._path)
            return self._record.runs(limit=self._limit)
        except (sqlite3.Error, ValueError) as error:
            # ValueError: a record of another version, whose rows are not those of this one.
            self.close()
            raise DataFormatError(
                f"The record of runs {self._path} cannot be read: {error}.",
                safe="the runs go on; only this page does not see them.",
                next_step="check the file and its permissions; `eucentric run ls` reads the same record.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._record is not None:
            self._record.close()
            self._record = None
