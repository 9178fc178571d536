"""Local accounts: a name, a role and the argon2id hash of a password."""

from __future__ import annotations

import re
import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from eucentric_core import CommandRefusedError, NotAuthorisedError, Role, transaction, utc_now

from .._person import Person

__all__ = ["ACCOUNTS_SCHEMA", "MIN_PASSWORD", "Account", "Accounts"]

ACCOUNTS_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, made_utc TEXT NOT NULL
);
"""

MIN_PASSWORD = 10
"""Characters; NIST SP 800-63B asks for eight, and for no rules about which."""

_MAX_PASSWORD = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

_HASHER = PasswordHasher()
"""argon2id with the parameters of RFC 9106 for little memory: 64 MiB, 3 passes."""

_NOBODY = _HASHER.hash("nobody's password")
"""Checked for names that do not exist, so that these take as long as the others."""


@dataclass(frozen=True, slots=True)
class Account:
    """What may be told about an account."""

    name: str
    role: Role
    made_utc: datetime


class Accounts:
    """The accounts of one dashboard. Any thread may call.

    Args:
        database: holds `ACCOUNTS_SCHEMA`.
        lock: guards the database.
    """

    def __init__(self, database: sqlite3.Connection, lock: threading.RLock) -> None:
        self._database = database
        self._lock = lock

    def add(self, name: str, role: Role, password: str) -> None:
        """Make an account.

        Raises:
            CommandRefusedError: the name is taken or no name, or the password too short.
        """
        if _NAME.fullmatch(name) is None:
            raise _refused(
                f"{name!r} cannot be the name of an account.",
                "use up to 64 small letters, digits, and . _ @ - after the first.",
            )
        hashed = _hash(password)
        with self._lock:
            if self.find(name) is not None:
                raise _refused(
                    f"There is an account {name!r} already.",
                    f"change it with `eucentric dashboard users passwd {name}`.",
                )
            with transaction(self._database) as database:
                database.execute(
                    "INSERT INTO accounts VALUES (?, ?, ?, ?)",
                    (name, role.value, hashed, utc_now().isoformat()),
                )

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions; `CommandRefusedError` if there is none."""
        with self._lock, transaction(self._database) as database:
            if not database.execute("DELETE FROM accounts WHERE name = ?", (name,)).rowcount:
                raise _unknown(name)
            _end_sessions(database, name)

    def change_password(self, name: str, password: str) -> None:
        """Give an account another password and end its sessions; `CommandRefusedError` if it cannot be."""
        hashed = _hash(password)
        with self._lock, transaction(self._database) as database:
            change = database.execute("UPDATE accounts SET password = ? WHERE name = ?", (hashed, name))
            if not change.rowcount:
                raise _unknown(name)
            _end_sessions(database, name)

    def change_role(self, name: str, role: Role) -> None:
        """Give an account another role, in force at once; `CommandRefusedError` if there is none."""
        with self._lock, transaction(self._database) as database:
            change = database.execute("UPDATE accounts SET role = ? WHERE name = ?", (role.value, name))
            if not change.rowcount:
                raise _unknown(name)

    def find(self, name: str) -> Account | None:
        """An account by its name."""
        with self._lock:
            row = self._database.execute(
                "SELECT name, role, made_utc FROM accounts WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else _account(row)

    def all(self) -> tuple[Account, ...]:
        """Every account, by name."""
        with self._lock:
            rows = self._database.execute("SELECT name, role, made_utc FROM accounts ORDER BY name")
            return tuple(_account(row) for row in rows)

    def verify(self, name: str, password: str) -> Person:
        """The person that name and password belong to. Takes about 50 ms whatever the answer.

        Raises:
            NotAuthorisedError: they belong to nobody; which of the two is wrong is not told.
        """
        with self._lock:
            row = self._database.execute(
                "SELECT role, password FROM accounts WHERE name = ?", (name,)
            ).fetchone()
        hashed = _NOBODY if row is None else str(row["password"])
        try:
            _HASHER.verify(hashed, password[:_MAX_PASSWORD])
        except (VerificationError, InvalidHashError) as error:
            raise _wrong() from error
        if row is None:
            raise _wrong()
        if _HASHER.check_needs_rehash(hashed):
            with self._lock, transaction(self._database) as database:
                database.execute(
                    "UPDATE accounts SET password = ? WHERE name = ?", (_HASHER.hash(password), name)
                )
        return Person(name, Role(row["role"]))


def _hash(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
        raise _refused(
            f"The password has {len(password)} characters.", f"choose one of {MIN_PASSWORD} or more."
        )
    return _HASHER.hash(password)


def _end_sessions(database: sqlite3.Connection, name: str) -> None:
    database.execute("DELETE FROM sessions WHERE name = ? AND provider IS NULL", (name,))


def _account(row: sqlite3.Row) -> Account:
    return Account(row["name"], Role(row["role"]), datetime.fromisoformat(row["made_utc"]))


def _refused(what: str, next_step: str) -> CommandRefusedError:
    return CommandRefusedError(what, safe="no account was changed.", next_step=next_step)


def _unknown(name: str) -> CommandRefusedError:
    return _refused(f"There is no account {name!r}.", "see `eucentric dashboard users ls`.")


def _wrong() -> NotAuthorisedError:
    return NotAuthorisedError(
        "Name and password do not belong together.",
        safe="nobody was let in.",
        next_step="try again, or ask an administrator for a new password.",
    )
