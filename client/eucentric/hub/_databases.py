"""The databases of a hub, whose they are, and making them where they are missing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eucentric_core import ServiceUnavailableError, Settings

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "DATABASES",
    "OWNER",
    "ROLES",
    "HubDatabase",
    "connect_owner",
    "database_address",
    "ensure_databases",
]

OWNER = "eucentric_owner"
"""PostgreSQL's superuser in a hub's own cluster."""

_CONNECT_TIMEOUT_S = 5
_PATIENCE_S = 60.0
_POLL_S = 0.2
_LOCK = 0x68756273
"""Key of the advisory lock that lets one at a time make databases."""
_STARTING = "57P03"
"""SQLSTATE of a server that is on its way up."""


@dataclass(frozen=True, slots=True)
class HubDatabase:
    """A database: its name, the role that owns it, and what is in it in words."""

    name: str
    role: str
    holds: str


DATABASES = (
    HubDatabase("prefect", "prefect", "Prefect: deployments, blocks, flow runs, events"),
    HubDatabase("catalogue", "catalogue", "data sets, shards, lineage"),
    HubDatabase("mlflow", "mlflow", "MLflow: models, versions, aliases, history"),
    HubDatabase("mlflow_users", "mlflow", "MLflow: who may log in"),
)
"""In the order in which copies are made: what comes earlier refers to what comes later."""

ROLES = ("prefect", "catalogue", "mlflow")


def database_address(name: str, port: int, *, driver: str) -> str:
    """SQLAlchemy's address of a database, without the password."""
    role = next(one.role for one in DATABASES if one.name == name)
    return f"postgresql+{driver}://{role}@127.0.0.1:{port}/{name}"


def connect_owner(port: int, password: str, database: str = "postgres") -> psycopg.Connection[Any]:
    """A connection of the superuser, each statement its own transaction.

    Raises:
        psycopg.OperationalError: the server does not answer, or refuses.
    """
    import psycopg

    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=OWNER,
        password=password,
        dbname=database,
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_S,
    )


def ensure_databases(settings: Settings, passwords: Mapping[str, str], *, port: int | None = None) -> None:
    """Wait for PostgreSQL, and make the roles and databases that are missing; passwords are set every time.

    Args:
        settings: of the hub.
        passwords: of the owner and of every role.
        port: where it listens, if not where the settings say.

    Raises:
        ServiceUnavailableError: it does not answer within a minute, or refuses.
    """
    import psycopg

    at = settings.hub.server.postgres_port if port is None else port
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with closing(connect_owner(at, passwords[OWNER])) as connection:
                # Services start side by side, and each makes sure of its own.
                connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
                for role in ROLES:
                    _ensure_role(connection, role, passwords[role])
                for database in DATABASES:
                    _ensure_database(connection, database)
            return
        except psycopg.Error as error:
            waiting = isinstance(error, psycopg.OperationalError) and error.sqlstate in (None, _STARTING)
            if not waiting or time.monotonic() > deadline:
                reason = " ".join(str(error).split()).rstrip(".")
                raise ServiceUnavailableError(
                    f"PostgreSQL on port {at} cannot be used: {reason}.",
                    safe="no database was changed by halves.",
                    next_step="see `eucentric hub status`, and postgres.log among the logs.",
                ) from None
            time.sleep(_POLL_S)


def _ensure_role(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    from psycopg import sql

    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = "ALTER" if known else "CREATE"
    statement = sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD {{}}")
    connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))


def _ensure_database(connection: psycopg.Connection[Any], database: HubDatabase) -> None:
    from psycopg import sql

    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database.name]).fetchone():
        return
    name, role = sql.Identifier(database.name), sql.Identifier(database.role)
    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
    connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))
