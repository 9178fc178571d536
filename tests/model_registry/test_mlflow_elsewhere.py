"""The same catalogue on PostgreSQL and in an S3 store, by settings alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from eucentric_core import ManagedProcess, answers_ok
from eucentric_core.transport import find_free_port
from eucentric_model_registry import Registry, trusted_keys_of

from ..servers.postgres import Postgres, running_postgres
from ..servers.swift import SwiftServer
from .conftest import Publish

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def elsewhere(
    tmp_path: Path, postgres: Postgres, swift: SwiftServer, s3_credentials: Path, bucket: str
) -> Iterator[str]:
    """A server that was started with nothing but settings; its password lies where PostgreSQL looks."""
    url = f"http://127.0.0.1:{find_free_port()}"
    config = tmp_path / "eucentric.toml"
    config.write_text(
        f'home = "{tmp_path / "home"}"\n[hub]\nmlflow_url = "{url}"\n'
        f'mlflow_database = "{postgres.create_database()}"\nmlflow_artifacts = "s3://{bucket}/models"\n'
        f'[s3]\nendpoint = "{swift.url}"\ncredentials = "{s3_credentials}"\n'
    )
    passwords = tmp_path / "pgpass"
    passwords.touch(mode=0o600)
    passwords.write_text(f"127.0.0.1:{postgres.port}:*:*:{postgres.password}\n")
    command = [sys.executable, "-m", "eucentric_model_registry", "models", "server", "--config", str(config)]
    process = ManagedProcess(
        "MLflow", command, log=tmp_path / "server.log", environment={"PGPASSFILE": str(passwords)}
    )
    try:
        process.wait_ready(lambda: answers_ok(f"{url}/health"), timeout_s=170)
        yield url
    finally:
        process.stop()


@pytest.mark.timeout(300)
def test_versions_lie_in_postgresql_and_their_files_in_the_store(
    elsewhere: str,
    signer: CryptoSigner,
    name: str,
    publish: Publish,
    s3_client: Any,
    bucket: str,
    tmp_path: Path,
) -> None:
    registry = Registry(elsewhere, trusted_keys_of(signer))
    assert registry.register(name, publish(1)).version == 1
    registry.promote(name, 1, reason="first", who="test")
    registry.deployments.record(name, 1, edge="edge-1", state="serving")
    assert registry.download(name, 1, tmp_path / "fetched").version == 1
    stored = [entry["Key"] for entry in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert any(key.startswith("models/") and key.endswith("member-0.safetensors") for key in stored)
    assert not (tmp_path / "home" / "mlflow" / "mlflow.sqlite").exists()
    again = Registry(elsewhere, trusted_keys_of(signer))
    champion = again.champion(name)
    assert champion is not None
    assert champion.version == 1
    assert again.deployments.latest(name)["edge-1"].state == "serving"
