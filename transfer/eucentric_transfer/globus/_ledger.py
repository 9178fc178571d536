"""What was submitted to Globus and has not been settled: what a restart goes on with.

A task's number and its exact document are written here, durably, before it is submitted. Whoever finds them
after a crash submits them again under the same number: that is the same task, whether or not the first try
arrived.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eucentric_core import ConfigurationError, open_database, transaction

from ._failures import disk_failure
from ._service import TaskKind

__all__ = ["StoredFile", "StoredTask", "TaskLedger"]

Purpose = Literal["put", "fetch", "delete"]

_BUSY_TIMEOUT_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    submission_id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    far_end TEXT NOT NULL,
    document TEXT NOT NULL,
    files TEXT NOT NULL,
    created_s REAL NOT NULL,
    deadline_s REAL NOT NULL,
    task_id TEXT,
    landed INTEGER NOT NULL DEFAULT 0,
    counts INTEGER NOT NULL DEFAULT 1
);
"""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a task: its name at the far end, what it must be, and a local copy made for the task."""

    name: str
    size_bytes: int
    sha256: str
    copy: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task as it was, or will be, submitted.

    Args:
        landed: the files are there under their temporary names, whole.
    """

    submission_id: str
    purpose: Purpose
    far_end: str
    document: dict[str, Any]
    files: tuple[StoredFile, ...]
    created_s: float
    deadline_s: float
    task_id: str | None = None
    landed: bool = False

    @property
    def kind(self) -> TaskKind:
        """What it is to the service."""
        return "delete" if self.purpose == "delete" else "transfer"


class TaskLedger:
    """The file `tasks.db`, shared by the processes of one machine.

    Raises:
        ConfigurationError: it cannot be opened. Every method: `OutOfSpaceError` or `FarEndError` when its
            disk is full or fails.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = open_database(path, _SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The record of Globus tasks, {path}, cannot be opened: {error}.",
                safe="nothing was submitted.",
                next_step="check the folder; without the file, running tasks are not taken up again.",
            ) from error
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, transaction(self._connection) as connection:
                yield connection
        except sqlite3.Error as error:
            raise disk_failure(error) from error

    def _rows(self, query: str, values: tuple[str, ...] = ()) -> tuple[StoredTask, ...]:
        try:
            with self._lock:
                return tuple(map(_read, self._connection.execute(query, values)))
        except sqlite3.Error as error:
            raise disk_failure(error) from error

    def store(self, task: StoredTask, *, max_active: int) -> bool:
        """Write a task down before it is submitted. False if as many as may be are under way already."""
        with self._change() as connection:
            (active,) = connection.execute("SELECT count(*) FROM tasks WHERE counts").fetchone()
            if active >= max_active:
                return False
            connection.execute(
                "INSERT INTO tasks (submission_id, purpose, far_end, document, files, created_s, deadline_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    task.submission_id,
                    task.purpose,
                    task.far_end,
                    json.dumps(task.document),
                    json.dumps([(file.name, file.size_bytes, file.sha256, file.copy) for file in task.files]),
                    task.created_s,
                    task.deadline_s,
                ),
            )
            return True

    def accepted(self, submission_id: str, task_id: str) -> None:
        """Note the id that the service gave a task."""
        with self._change() as connection:
            connection.execute(
                "UPDATE tasks SET task_id = ? WHERE submission_id = ?", (task_id, submission_id)
            )

    def ended(self, submission_id: str, *, landed: bool = False) -> None:
        """Note that the service works on a task no longer, and whether its files were found whole."""
        with self._change() as connection:
            connection.execute(
                "UPDATE tasks SET counts = 0, landed = max(landed, ?) WHERE submission_id = ?",
                (landed, submission_id),
            )

    def forget(self, submission_id: str) -> None:
        """A task is settled."""
        with self._change() as connection:
            connection.execute("DELETE FROM tasks WHERE submission_id = ?", (submission_id,))

    def unsettled(self, purpose: Purpose | None = None, far_end: str | None = None) -> tuple[StoredTask, ...]:
        """Tasks that are not settled, oldest first."""
        return self._rows(
            "SELECT * FROM tasks WHERE ? IN (purpose, '') AND ? IN (far_end, '') ORDER BY created_s",
            (purpose or "", far_end or ""),
        )

    def active(self) -> tuple[StoredTask, ...]:
        """Tasks that the service works on, as far as is known here."""
        return self._rows("SELECT * FROM tasks WHERE counts ORDER BY created_s")

    def drop_old(self, *, keep_s: float) -> Iterable[StoredTask]:
        """Forget what nobody came back for in that time after its deadline; what was forgotten."""
        limit = time.time() - keep_s
        old = [task for task in self.unsettled() if task.created_s + task.deadline_s < limit]
        for task in old:
            self.forget(task.submission_id)
        return old


def _read(row: sqlite3.Row) -> StoredTask:
    return StoredTask(
        submission_id=row["submission_id"],
        purpose=row["purpose"],
        far_end=row["far_end"],
        document=json.loads(row["document"]),
        files=tuple(StoredFile(*file) for file in json.loads(row["files"])),
        created_s=row["created_s"],
        deadline_s=row["deadline_s"],
        task_id=row["task_id"],
        landed=bool(row["landed"]),
    )
