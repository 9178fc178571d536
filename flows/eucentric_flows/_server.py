"""A local Prefect server (SQLite, no telemetry), and the environment of all that talks to it."""

from __future__ import annotations

import sys

from eucentric_core import LocalServer, Settings, answers_ok, local_address, read_login
from eucentric_core.transport import require_loopback, require_port_free

__all__ = ["is_healthy", "prefect_environment", "prefect_server"]

_HEALTH_PATH = "/health"


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at this API address."""
    return answers_ok(f"{api_url.rstrip('/')}{_HEALTH_PATH}")


def prefect_environment(settings: Settings) -> dict[str, str]:
    """Variables for every process that uses Prefect. Set them before `prefect` is imported.

    Raises:
        ConfigurationError: the file with name and password cannot be used.
    """
    login = _login(settings)
    return {
        **({} if login is None else {"PREFECT_API_AUTH_STRING": login}),
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": settings.hub.prefect_api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "true",
        # One process per flow run: nothing else in it may be told to start a server of its own.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        # The service's own lines belong to no flow run.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # What a stage says is then on Prefect's page, too.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "eucentric_flows,eucentric_hpc",
    }


def prefect_server(settings: Settings) -> LocalServer:
    """How to start Prefect at `settings.hub.prefect_api_url`, by default with its database under the home.

    Prefect's own server has no authentication by default, so only loopback addresses are allowed. With
    `hub.prefect_login_file` it asks everybody, on loopback, too.

    Raises:
        ConfigurationError: the address is not loopback or has no port, the port is in use, or the file with
            name and password cannot be used.
    """
    host, port = local_address(
        settings.hub.prefect_api_url, setting="hub.prefect_api_url", example="http://127.0.0.1:PORT/api"
    )
    require_loopback(host, "Prefect")
    require_port_free(host, port, "the Prefect server")
    (settings.home / "prefect").mkdir(parents=True, exist_ok=True)
    command = (
        sys.executable, "-m", "prefect", "server", "start",
        "--host", host,
        "--port", str(port),
    )  # fmt: skip
    login = _login(settings)
    environment = {
        **prefect_environment(settings),
        **({} if login is None else {"PREFECT_SERVER_API_AUTH_STRING": login}),
    }
    if settings.hub.prefect_database is not None:
        # The password is where PostgreSQL's clients look for it: PGPASSFILE, ~/.pgpass or PGPASSWORD.
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = settings.hub.prefect_database
    return LocalServer("prefect", command, environment, f"http://{host}:{port}", f"/api{_HEALTH_PATH}")


def _login(settings: Settings) -> str | None:
    if settings.hub.prefect_login_file is None:
        return None
    return ":".join(read_login(settings.hub.prefect_login_file, setting="hub.prefect_login_file"))
