"""One agent per home folder: two would steer one instrument and write one audit log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from eucentric_core import ConfigurationError, open_database, write_atomic

__all__ = ["HomeLock", "agent_runs"]

_WAIT_S = 0.5


def agent_runs(home: Path) -> bool:
    """Whether a process holds the lock of this home. Takes nothing, and needs no right to write there."""
    path = home / "agent" / "lock.sqlite"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as lock:
            lock.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    except sqlite3.DatabaseError:
        return False
    return False


class HomeLock:
    """An operating system's lock on the home: gone with the process that holds it, however it ends.

    A context manager.

    Args:
        home: the agent's home folder.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "agent"
        self._holder = self._folder / "agent.pid"

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            ConfigurationError: an agent runs with this home, or the folder cannot be used.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = open_database(
                self._folder / "lock.sqlite", "", busy_timeout_s=_WAIT_S, exclusive=True
            )
        except sqlite3.OperationalError as error:
            # The lower byte is the primary code; busy comes in several kinds.
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise self._taken() from error
            raise self._unusable(str(error)) from error
        except (OSError, sqlite3.DatabaseError) as error:
            raise self._unusable(str(error)) from error
        try:
            write_atomic(self._holder, str(os.getpid()).encode())
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next agent have it."""
        try:
            self._holder.unlink(missing_ok=True)
        finally:
            self._lock.close()

    def _taken(self) -> ConfigurationError:
        try:
            pid: int | None = int(self._holder.read_text(encoding="ascii"))
        except (OSError, ValueError):
            pid = None
        # One that was killed left its number behind, and its successor may not have written its own yet.
        named = f" (pid {pid})" if pid is not None and psutil.pid_exists(pid) else ""
        return ConfigurationError(
            f"An agent already runs with this home{named}.",
            safe=f"nothing was started; the agent of {self._folder.parent} goes on as it was.",
            next_step="stop that agent first, or choose another home folder (--home).",
        )

    def _unusable(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"The agent's folder {self._folder} cannot be used: {reason}.",
            safe="nothing was started.",
            next_step="make it writable for this account and free space on its disk. A damaged lock.sqlite "
            "holds nothing, and may be removed while no agent runs.",
        )
