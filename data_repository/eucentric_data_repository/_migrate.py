"""Bringing the catalogue's tables up to date, and refusing those of a newer version."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from eucentric_core import ConfigurationError, ServiceUnavailableError

from ._database import Database, reading, writing

__all__ = ["SCHEMA_VERSION", "require_schema", "upgrade_schema"]

_VERSIONS = ("0001", "0002", "0003")
SCHEMA_VERSION = _VERSIONS[-1]
"""The newest migration that this version knows."""

# Alembic keeps the migration that is under way in a module of its own.
_one_at_a_time = threading.Lock()

_MIGRATIONS = Path(__file__).parent / "migrations"


def _found(connection: Connection) -> str | None:
    """The schema's version; None for an empty database."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    # Before there were migrations, there were these tables.
    return _VERSIONS[0] if "datasets" in tables else None


def _refuse_newer(version: str | None, database: Database) -> None:
    if version is not None and version not in _VERSIONS:
        raise ConfigurationError(
            f"The catalogue {database} has schema {version}; this version of eucentric knows up to "
            f"{SCHEMA_VERSION}.",
            safe="the catalogue is unchanged.",
            next_step="install the newer eucentric here, too: it wrote this catalogue.",
            found=version,
            known=SCHEMA_VERSION,
        )


def upgrade_schema(engine: Engine, database: Database) -> None:
    """Make the tables, or bring them up to date, in one transaction that other services wait for.

    Raises:
        ConfigurationError: a newer version has written this catalogue.
        OutOfSpaceError, ServiceUnavailableError: the database cannot be written.
    """
    with writing(engine, database) as connection:
        version = _found(connection)
        _refuse_newer(version, database)
        if version != SCHEMA_VERSION:
            with _one_at_a_time:
                _migrate(connection, adopt=version == _VERSIONS[0])


def require_schema(engine: Engine, database: Database) -> None:
    """Refuse to read tables of another version.

    Raises:
        ConfigurationError: a newer version has written this catalogue.
        ServiceUnavailableError: there is no catalogue, or it must be upgraded first.
    """
    with reading(engine, database) as connection:
        version = _found(connection)
    _refuse_newer(version, database)
    if version != SCHEMA_VERSION:
        state = "is empty" if version is None else f"has schema {version}, older than {SCHEMA_VERSION}"
        raise ServiceUnavailableError(
            f"The catalogue {database} cannot be read: it {state}.",
            safe="nothing was changed.",
            next_step="start the repository's service once (`eucentric repository serve`): it upgrades it.",
        )


def _migrate(connection: Connection, *, adopt: bool) -> None:
    # Costs a tenth of a second, and is needed once in the life of a catalogue.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if adopt and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, _VERSIONS[0])
    command.upgrade(config, SCHEMA_VERSION)
