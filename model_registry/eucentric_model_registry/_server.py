"""A local MLflow server for one machine: SQLite, no telemetry, no job runner, one worker."""

from __future__ import annotations

import sys
from pathlib import Path

from eucentric_core import LocalServer
from eucentric_core.transport import require_loopback, require_port_free

__all__ = ["mlflow_server"]


def mlflow_server(home: Path, *, host: str = "127.0.0.1", port: int) -> LocalServer:
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
    return LocalServer("mlflow", command, environment, f"http://{host}:{port}", "/health")
