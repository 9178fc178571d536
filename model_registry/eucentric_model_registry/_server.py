"""A local MLflow server for one machine: SQLite, no telemetry, no job runner, one worker."""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.fernet import Fernet

from eucentric_core import LocalServer, S3Settings, Settings, local_address
from eucentric_core.transport import require_loopback, require_port_free

from ._keys import read_secret, write_new

__all__ = ["mlflow_server", "mlflow_server_of"]


def mlflow_server(
    home: Path,
    *,
    host: str = "127.0.0.1",
    port: int,
    database: str | None = None,
    artifacts: str | None = None,
    s3: S3Settings | None = None,
) -> LocalServer:
    """How to start MLflow, by default with its database and artifacts under `home`, which is made.

    MLflow has no authentication by default, so only loopback addresses are allowed. It is a private
    catalogue and never the root of trust: only the signed manifest makes the bytes of a bundle trusted.

    Args:
        home: folder of the server.
        host: loopback.
        port: to listen on.
        database: SQLAlchemy address without a password; SQLite below `home` if None.
        artifacts: folder or `s3://bucket/prefix`; a folder below `home` if None.
        s3: where an S3 store is and which credentials file opens it.

    Raises:
        ConfigurationError: the address is not loopback, or the port is in use.
    """
    require_loopback(host, "model registry")
    require_port_free(host, port, "the model registry")
    home.mkdir(parents=True, exist_ok=True)
    encryption_key = home / "webhook-encryption.key"
    if not encryption_key.exists():
        write_new(encryption_key, Fernet.generate_key(), mode=0o600)
    command = (
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", database or f"sqlite:///{home / 'mlflow.sqlite'}",
        "--artifacts-destination", artifacts or str(home / "artifacts"),
        "--host", host,
        "--port", str(port),
        "--workers", "1",
    )  # fmt: skip
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # The job runner starts eight more processes (0.7 GB) for features that are not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Webhooks go to this hub on loopback, and what they are signed with outlives a restart.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": read_secret(encryption_key),
        "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "5",
        "MLFLOW_WEBHOOK_CACHE_TTL": "5",
        **_s3_environment(s3 if artifacts is not None and artifacts.startswith("s3://") else None),
    }
    return LocalServer("mlflow", command, environment, f"http://{host}:{port}", "/health")


def mlflow_server_of(settings: Settings) -> LocalServer:
    """How to start the MLflow of a hub, where its settings say.

    Raises:
        ConfigurationError: the address is not loopback, or the port is in use.
    """
    host, port = local_address(
        settings.hub.mlflow_url, setting="hub.mlflow_url", example="http://127.0.0.1:PORT"
    )
    return mlflow_server(
        settings.home / "mlflow",
        host=host,
        port=port,
        database=settings.hub.mlflow_database,
        artifacts=settings.hub.mlflow_artifacts,
        s3=settings.s3,
    )


def _s3_environment(s3: S3Settings | None) -> dict[str, str]:
    # MLflow's own way to say where a store is; the key itself stays in its file.
    if s3 is None:
        return {}
    known = {
        "MLFLOW_S3_ENDPOINT_URL": s3.endpoint,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_SHARED_CREDENTIALS_FILE": s3.credentials and str(s3.credentials),
        "AWS_PROFILE": s3.profile,
        "AWS_CA_BUNDLE": s3.authority and str(s3.authority),
        # Stores of other makers do not know the checksums that newer SDKs add.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    return {name: value for name, value in known.items() if value}
