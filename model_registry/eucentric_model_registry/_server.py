"""A local MLflow server for one machine: SQLite, no telemetry, no job runner, one worker."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eucentric_core.transport import require_loopback, require_port_free

__all__ = ["ServerCommand", "mlflow_server"]

_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """What to start, with what environment on top of one's own, and where it will answer."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    host: str
    port: int

    @property
    def url(self) -> str:
        """Tracking and registry URI, and the address of the web page."""
        return f"http://{self.host}:{self.port}"

    def is_healthy(self) -> bool:
        """Whether the server answers at present."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_HEALTH_TIMEOUT_S)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def mlflow_server(home: Path, *, host: str = "127.0.0.1", port: int) -> ServerCommand:
    """How to start MLflow with its database and artifacts under `home`, which is made.

    MLflow has no authentication by default, so only loopback addresses are allowed. It is a private
    catalogue and never the root of trust: only the signed manifest makes the bytes of a bundle trusted.

    Raises:
        ConfigurationError: the address is not loopback, or the port is in use.
    """
    require_loopback(host, "model registry")
    require_port_free(host, port, "the model registry")
    home.mkdir(parents=True, exist_ok=True)
    command = (
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", f"sqlite:///{home / 'mlflow.sqlite'}",
        "--artifacts-destination", str(home / "artifacts"),
        "--host", host,
        "--port", str(port),
        "--workers", "1",
    )  # fmt: skip
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # The job runner starts eight more processes (0.7 GB) for features that are not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return ServerCommand(command, environment, host, port)
