"""Who is logged in: a random token in the browser's cookie, only its hash on this machine's disk."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable

from eucentric_core import Role, transaction

from .._person import Person

__all__ = ["MAX_SESSIONS", "SESSIONS_SCHEMA", "Sessions"]

SESSIONS_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    token_sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, provider TEXT,
    begun_s REAL NOT NULL, used_s REAL NOT NULL
);
"""

MAX_SESSIONS = 2000
"""Of one dashboard; the longest unused ends when one more begins."""

_USED_PRECISION_S = 30.0
_FIND = """
SELECT s.name, coalesce(a.role, s.role) AS role, s.provider, a.name AS account, s.begun_s, s.used_s
FROM sessions s LEFT JOIN accounts a ON a.name = s.name AND s.provider IS NULL WHERE s.token_sha256 = ?
"""


class Sessions:
    """The sessions of one dashboard; they survive its restart. Any thread may call.

    Args:
        database: holds `SESSIONS_SCHEMA`, and the accounts.
        lock: guards the database.
        idle_s: a session ends when it was not used for so long.
        max_s: and after so long in any case.
        now_s: seconds since 1970; it must go on across a restart.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        lock: threading.RLock,
        *,
        idle_s: float,
        max_s: float,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._lock = lock
        self._idle_s = idle_s
        self._max_s = max_s
        self._now_s = now_s

    def begin(self, person: Person, *, provider: str | None = None) -> str:
        """Begin a session; returns the token for the browser.

        Args:
            person: who has just proven to be this.
            provider: whose word it was; None for an account of this dashboard, whose role is looked up
                each time.
        """
        token = secrets.token_urlsafe(32)
        now_s = self._now_s()
        with self._lock, transaction(self._database) as database:
            database.execute(
                "DELETE FROM sessions WHERE begun_s < ? OR used_s < ?",
                (now_s - self._max_s, now_s - self._idle_s),
            )
            database.execute(
                "DELETE FROM sessions WHERE token_sha256 IN "
                "(SELECT token_sha256 FROM sessions ORDER BY used_s DESC LIMIT -1 OFFSET ?)",
                (MAX_SESSIONS - 1,),
            )
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
                (_digest(token), person.name, person.role.value, provider, now_s, now_s),
            )
        return token

    def find(self, token: str, *, used: bool = False) -> Person | None:
        """Whose session it is; None if it has ended, or its account is gone.

        Args:
            token: from the cookie.
            used: the person opened or did something: the session lasts on.
        """
        now_s = self._now_s()
        with self._lock:
            row = self._database.execute(_FIND, (_digest(token),)).fetchone()
            if row is None or (row["provider"] is None and row["account"] is None):
                return None
            # A clock set back must not make a session last longer.
            if not (0 <= now_s - row["begun_s"] < self._max_s and now_s - row["used_s"] < self._idle_s):
                return None
            if used and now_s - row["used_s"] > _USED_PRECISION_S:
                with transaction(self._database) as database:
                    database.execute(
                        "UPDATE sessions SET used_s = ? WHERE token_sha256 = ?", (now_s, _digest(token))
                    )
        return Person(row["name"], Role(row["role"]))

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock, transaction(self._database) as database:
            database.execute("DELETE FROM sessions WHERE token_sha256 = ?", (_digest(token),))


def _digest(token: str) -> str:
    # The token is 256 random bits: one round is enough, and whoever reads the file cannot log in with it.
    return hashlib.sha256(token.encode()).hexdigest()
