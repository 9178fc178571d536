"""The file that accounts and sessions are kept in."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from eucentric_core import DataFormatError, Settings, open_database

from ._accounts import ACCOUNTS_SCHEMA, Accounts
from ._sessions import SESSIONS_SCHEMA, Sessions

__all__ = ["People", "people_path"]

_BUSY_TIMEOUT_S = 5.0


def people_path(settings: Settings) -> Path:
    """Where the dashboard of this machine keeps its accounts."""
    return settings.home / "dashboard" / "people.sqlite"


class People:
    """Accounts and sessions of one dashboard. Close it; any thread may use it.

    Args:
        path: of the file; it is made, readable by this user alone.
        idle_s: a session ends when nothing was opened or done for so long.
        max_s: and after so long in any case.

    Raises:
        DataFormatError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, idle_s: float, max_s: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        if os.name != "nt":
            path.chmod(0o600)
        try:
            self._database = open_database(
                path, ACCOUNTS_SCHEMA + SESSIONS_SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S
            )
        except sqlite3.Error as error:
            raise DataFormatError(
                f"The accounts of the dashboard, {path}, cannot be opened: {error}.",
                safe="nobody was let in.",
                next_step="check the file and its permissions.",
            ) from error
        lock = threading.RLock()
        self.accounts = Accounts(self._database, lock)
        self.sessions = Sessions(self._database, lock, idle_s=idle_s, max_s=max_s)

    @classmethod
    def of(cls, settings: Settings) -> People:
        """Those of this machine's dashboard."""
        dashboard = settings.dashboard
        return cls(people_path(settings), idle_s=dashboard.session_idle_s, max_s=dashboard.session_max_s)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
