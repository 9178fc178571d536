"""From the ten lines that a site writes to the settings of every service of its hub. Pure."""

from __future__ import annotations

from typing import Any

from eucentric_core import ConfigurationError, Settings

from ._databases import database_address
from ._folder import HubFolder

__all__ = ["complete_settings"]


def complete_settings(settings: Settings) -> dict[str, Any]:
    """What a site's file says, with what follows from it: databases, logins, addresses. For TOML.

    Raises:
        ConfigurationError: the file says otherwise where the hub decides.
    """
    folder, port = HubFolder(settings.home), settings.hub.server.postgres_port
    derived: dict[str, dict[str, Any]] = {
        "hub": {
            "prefect_api_url": settings.hub.prefect_api_url,
            "mlflow_url": settings.hub.mlflow_url,
            "prefect_database": database_address("prefect", port, driver="asyncpg"),
            "mlflow_database": database_address("mlflow", port, driver="psycopg"),
            "mlflow_users_database": database_address("mlflow_users", port, driver="psycopg"),
            "prefect_login_file": str(folder.secrets / "prefect-login"),
            "mlflow_login_file": str(folder.secrets / "mlflow-login"),
        },
        "repository": {
            "database": database_address("catalogue", port, driver="psycopg"),
            "database_password_file": str(folder.secrets / "postgres-catalogue"),
        },
    }
    complete = settings.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    complete["home"] = str(settings.home)
    server, page = settings.hub.server, complete.setdefault("dashboard", {})
    page.setdefault("names", [server.name])
    page.setdefault("public_url", f"https://{server.name}:{server.dashboard_port}")
    for section, values in derived.items():
        given = complete.setdefault(section, {})
        for key, value in values.items():
            if given.setdefault(key, value) != value:
                raise ConfigurationError(
                    f"{section}.{key} is {given[key]!r}, but a hub that `eucentric hub` sets up keeps its "
                    f"databases and logins itself ({value!r}).",
                    safe="nothing was written.",
                    next_step=f"take {section}.{key} out of the settings file.",
                )
    return complete
