"""A local Prefect server (SQLite, no telemetry), and the environment of all that talks to it."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from eucentric_core import ConfigurationError, Settings
from eucentric_core.transport import require_loopback, require_port_free

__all__ = ["PrefectServer", "prefect_environment", "prefect_server"]

_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """What to start, with what environment on top of one's own, and where it will answer."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    url: str

    def is_healthy(self) -> bool:
        """Whether the server answers at present."""
        return is_healthy(f"{self.url}/api")


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at this API address."""
    parts = urlsplit(api_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def prefect_environment(settings: Settings) -> dict[str, str]:
    """Variables for every process that uses Prefect. Set them before `prefect` is imported."""
    return {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": settings.hub.prefect_api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "true",
        # The default of 10 s is most of the time between an event and its flow.
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        # One process per flow run: nothing else in it may be told to start a server of its own.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        # What a stage says is then on Prefect's page, too.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "eucentric_flows,eucentric_hpc",
    }


def prefect_server(settings: Settings) -> PrefectServer:
    """How to start Prefect with its database under the home folder, at `settings.hub.prefect_api_url`.

    Prefect's own server has no authentication by default, so only loopback addresses are allowed.

    Raises:
        ConfigurationError: the address is not loopback or has no port, or the port is in use.
    """
    parts = urlsplit(settings.hub.prefect_api_url)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        raise ConfigurationError(
            f"hub.prefect_api_url {settings.hub.prefect_api_url!r} names no local port to listen on.",
            safe="nothing was started.",
            next_step="give it as http://127.0.0.1:PORT/api.",
        )
    require_loopback(parts.hostname, "Prefect")
    require_port_free(parts.hostname, parts.port, "the Prefect server")
    (settings.home / "prefect").mkdir(parents=True, exist_ok=True)
    command = (
        sys.executable, "-m", "prefect", "server", "start",
        "--host", parts.hostname,
        "--port", str(parts.port),
    )  # fmt: skip
    return PrefectServer(
        "prefect", command, prefect_environment(settings), f"http://{parts.hostname}:{parts.port}"
    )
