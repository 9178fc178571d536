"""Opening the catalogue's database: SQLite in the root, or PostgreSQL; durable, with bounded waits."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    OutOfSpaceError,
    ServiceUnavailableError,
    Settings,
)

from ._folders import RepositoryFolders

__all__ = ["Database", "database_of", "reading", "writing"]

_BUSY_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 10
_STATEMENT_TIMEOUT_MS = 60_000
_SILENT_LINK = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""When a server that has gone without a word counts as gone (s, and ms for what is not acknowledged). By
itself the system waits a quarter of an hour, and registration would wait with it."""
_MAX_PASSWORD_BYTES = 4096
_WRITERS_LOCK = 0x65756365
"""Key of the advisory lock that lets one writer at a time into a PostgreSQL catalogue, as SQLite does."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where a catalogue is and whose shards it lists.

    Args:
        place: the SQLite file, or an address `postgresql+psycopg://user@host:port/name`.
        root: the repository's root.
        password_file: holds the password of the address and nothing else; None where `~/.pgpass` or the
            environment (`PGPASSWORD`, `PGPASSFILE`) has it.
    """

    place: Path | str
    root: Path
    password_file: Path | None = None

    def __str__(self) -> str:
        if isinstance(self.place, Path):
            return str(self.place)
        return make_url(self.place).set(query={}).render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Database({str(self)!r}, root={str(self.root)!r})"

    @classmethod
    def at(cls, place: Database | Path) -> Database:
        """A database itself, or the SQLite file in a repository's root."""
        return place if isinstance(place, Database) else cls(place, place.parent)

    def open(self, *, read_only: bool = False) -> Engine:
        """An engine. It connects at the first use.

        Raises:
            ConfigurationError: the password's file is missing or open to others.
        """
        if isinstance(self.place, Path):
            return _sqlite(self.place, read_only)
        return _postgres(self._url(), read_only)

    def _url(self) -> URL:
        url = make_url(str(self.place))
        return url if self.password_file is None else url.set(password=_password(self.password_file))


def database_of(settings: Settings) -> Database:
    """The catalogue that the settings mean."""
    repository = settings.repository
    folders = RepositoryFolders(settings.repository_path)
    return Database(repository.database or folders.database, folders.root, repository.database_password_file)


def _password(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        with path.open("rb") as stream:
            content = stream.read(_MAX_PASSWORD_BYTES)
    except OSError as error:
        raise _unusable(f"The password file {path} cannot be read: {error.strerror or error}.") from error
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(f"The password file {path} is open to other users.", f"run `chmod 600 {path}`.")
    try:
        return content.decode().strip("\r\n")
    except UnicodeDecodeError:
        # Without its cause: that would show the content.
        raise _unusable(f"The password file {path} is not UTF-8 text.") from None


def _unusable(what: str, next_step: str = "correct repository.database_password_file.") -> ConfigurationError:
    return ConfigurationError(what, safe="no connection was opened.", next_step=next_step)


def _sqlite(path: Path, read_only: bool) -> Engine:
    mode = "ro" if read_only else "rwc"
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # Transactions are begun by hand below: the driver's own would let a statement slip out of them.
        return sqlite3.connect(
            uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    engine = create_engine(
        URL.create("sqlite", database=str(path.absolute())), creator=connect, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        pragmas = () if read_only else ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgres(url: URL, read_only: bool) -> Engine:
    # What acknowledges a frame must not trust a server that was told to answer before it has written.
    options = f"-c synchronous_commit=on -c statement_timeout={_STATEMENT_TIMEOUT_MS}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "options": options, **_SILENT_LINK},
    )


@contextmanager
def reading(engine: Engine, database: Database) -> Iterator[Connection]:
    """A connection that sees one state of the catalogue.

    Raises:
        ServiceUnavailableError: the catalogue cannot be read.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        if isinstance(database.place, Path) and not database.place.exists():
            raise ServiceUnavailableError(
                f"The folder {database.root} holds no catalogue: {database.place.name} cannot be read there.",
                safe="nothing was changed.",
                next_step="name the repository's folder (--root, or --config with its settings); a new one "
                "is made by `eucentric repository serve`. Was it there before: see whether it is mounted.",
            ) from _plain(error)
        raise ServiceUnavailableError(
            f"The catalogue {database} cannot be read: {_reason(error)}.",
            safe="nothing was changed.",
            next_step="check the repository's root, its database, and that its service has run there.",
        ) from _plain(error)


@contextmanager
def writing(engine: Engine, database: Database) -> Iterator[Connection]:
    """A transaction: everything in the block happens, or nothing; other writers wait.

    Raises:
        OutOfSpaceError: the database has no room.
        ServiceUnavailableError: the catalogue cannot be written.
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_LOCK})
            yield connection
    except SQLAlchemyError as error:
        kind: type[EucentricError] = OutOfSpaceError if _is_full(error) else ServiceUnavailableError
        raise kind(
            f"The catalogue {database} cannot be written: {_reason(error)}.",
            safe="nothing was registered by halves; what came in stays in the incoming folder.",
            next_step="free space, or check the disk or the database's server; it is tried again.",
        ) from _plain(error)


def _plain(error: SQLAlchemyError) -> BaseException:
    return getattr(error, "orig", None) or error


def _reason(error: SQLAlchemyError) -> str:
    return " ".join(str(_plain(error)).split())[:300].rstrip(".") or type(error).__name__


def _is_full(error: SQLAlchemyError) -> bool:
    cause = _plain(error)
    return (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == "53100"
    )
