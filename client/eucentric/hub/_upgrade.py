"""`eucentric hub upgrade`: after the packages changed, a copy first, then every database in its new form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from eucentric_core import ConfigurationError, ManagedProcess, Settings

from ._databases import ensure_databases
from ._folder import HubFolder
from ._needs import NEEDS
from ._processes import is_alive
from ._secrets import passwords
from ._services import is_ready
from .backup import make_backup

__all__ = ["upgrade"]

_START_S = 180.0
_MIGRATION_S = 3600.0


def upgrade(settings: Settings, folder: HubFolder, *, say: Callable[[str], None]) -> Path:
    """Copy the hub, and bring the databases of Prefect and MLflow into the form of the installed packages.

    The catalogue's own migration is made by the repository's service when it starts.

    Args:
        settings: complete, of the hub.
        folder: of the hub, whose services are stopped.
        say: told what is done.

    Returns:
        The archive that leads back.

    Raises:
        ConfigurationError: a service runs.
        ServiceUnavailableError: PostgreSQL does not start, or a migration failed; the archive leads back.
    """
    running = [name for name in NEEDS if is_alive(folder, name)]
    if running:
        raise ConfigurationError(
            f"The databases cannot be changed under services that use them: {', '.join(running)} run.",
            safe="nothing was changed.",
            next_step="stop the hub first: Ctrl-C, or `systemctl stop eucentric-hub.target`.",
        )
    ours = (sys.executable, "-m", "eucentric", "hub", "run", "postgres", "--config", str(folder.settings))
    say("starting PostgreSQL")
    postgres = ManagedProcess("postgres", ours, log=settings.logs / "postgres.log")
    try:
        postgres.wait_ready(lambda: is_ready("postgres", settings, folder), timeout_s=_START_S)
        ensure_databases(settings, passwords(folder))
        archive = make_backup(settings, folder, say=say).path
        for what, words, environment in _migrations(settings, folder):
            say(f"migrating {what}")
            log = settings.logs / "upgrade.log"
            process = ManagedProcess(
                f"the migration of {what}", (sys.executable, "-m", *words), log=log, environment=environment
            )
            try:
                process.wait_finished(timeout_s=_MIGRATION_S)
            finally:
                process.stop()
    finally:
        postgres.interrupt()
        postgres.stop()
    return archive


def _migrations(
    settings: Settings, folder: HubFolder
) -> tuple[tuple[str, tuple[str, ...], dict[str, str]], ...]:
    from eucentric_flows import prefect_environment

    hub, known = settings.hub, {"PGPASSFILE": str(folder.pgpass)}
    prefect = {
        **prefect_environment(settings),
        **known,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": str(hub.prefect_database),
    }
    return (
        ("Prefect", ("prefect", "server", "database", "upgrade", "--yes"), prefect),
        ("MLflow", ("mlflow", "db", "upgrade", str(hub.mlflow_database)), known),
        (
            "MLflow's users",
            ("mlflow.server.auth", "db", "upgrade", "--url", str(hub.mlflow_users_database)),
            known,
        ),
    )
