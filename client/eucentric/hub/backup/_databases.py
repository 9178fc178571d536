"""Databases out of PostgreSQL and back into it, with the number of rows of every table at the same moment."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eucentric_core import EucentricError

from .._databases import OWNER, HubDatabase, connect_owner
from .._postgres import PostgresPrograms
from ._errors import ArchiveDamagedError, BackupFailedError

if TYPE_CHECKING:
    import psycopg

__all__ = ["dump_database", "restore_database"]

_TIMEOUT_S = 6 * 3600


def dump_database(
    database: HubDatabase, target: Path, *, programs: PostgresPrograms, port: int, password: str
) -> dict[str, int]:
    """Write a dump (pg_dump's own compressed form) of one moment; returns the rows of each table then.

    Raises:
        BackupFailedError: PostgreSQL does not answer, or refuses.
    """
    import psycopg

    try:
        with closing(connect_owner(port, password, database.name)) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = str(_one(connection, "SELECT pg_export_snapshot()"))
            # The transaction stays open while the dump is made: both see the same moment.
            command = (
                *(programs.path("pg_dump"), "-Fc", f"--snapshot={snapshot}", f"--file={target}"),
                *_where(port, database.name),
            )
            _run(command, password, BackupFailedError, f"The database {database.name} cannot be copied")
            return _rows(connection)
    except psycopg.Error as error:
        raise BackupFailedError(
            f"The database {database.name} cannot be read: {' '.join(str(error).split()).rstrip('.')}.",
            safe="the archives of before are untouched.",
            next_step="see `eucentric hub status`; PostgreSQL must run for a backup.",
        ) from None


def restore_database(
    database: HubDatabase,
    dump: Path,
    rows: dict[str, int],
    *,
    programs: PostgresPrograms,
    port: int,
    password: str,
) -> None:
    """Fill an empty database from a dump, and count its rows.

    Raises:
        ArchiveDamagedError: the dump cannot be read, or the rows are not those of the time of the copy.
    """
    command = (
        *(programs.path("pg_restore"), "--no-owner", "--no-comments", f"--role={database.role}"),
        *("--single-transaction", "--exit-on-error", *_where(port, database.name), str(dump)),
    )
    _run(command, password, ArchiveDamagedError, f"The database {database.name} cannot be restored")
    with closing(connect_owner(port, password, database.name)) as connection:
        found = _rows(connection)
    if found != rows:
        different = sorted(table for table in {*found, *rows} if found.get(table) != rows.get(table))
        raise ArchiveDamagedError(
            f"Rows of the database {database.name} are not those of the copy: {', '.join(different)}.",
            safe="the restored hub was not put in place.",
            next_step="take another archive.",
        )


def _rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    from psycopg import sql

    tables = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
        "AND n.nspname NOT LIKE 'pg_toast%' ORDER BY 1, 2"
    ).fetchall()
    return {
        f"{schema}.{table}": int(
            _one(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table)))
        )
        for schema, table in tables
    }


def _one(connection: psycopg.Connection[Any], query: Any) -> Any:
    row = connection.execute(query).fetchone()
    if row is None:
        raise RuntimeError("PostgreSQL answered a question for one row with none")
    return row[0]


def _where(port: int, name: str) -> tuple[str, ...]:
    return ("-h", "127.0.0.1", "-p", str(port), "-U", OWNER, "-d", name, "--no-password")


def _run(command: tuple[str, ...], password: str, kind: type[EucentricError], what: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        # Not on the command line, where every user of the machine could read it.
        env={"PGPASSWORD": password, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-500:].rstrip(".")
        raise kind(
            f"{what}: {reason}.",
            safe="nothing that was there before has changed.",
            next_step="see postgres.log; an older PostgreSQL cannot read what a newer one dumped.",
        )
