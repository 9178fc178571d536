"""Fixtures: a store that checks signatures, once per session, and new buckets in it behind a relay."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .http_relay import Relay, running_relay
from .swift import ACCESS_KEY, SECRET_KEY, SwiftServer, is_installed, running_swift

__all__ = ["bucket", "s3_client", "s3_credentials", "s3_relay", "store_client", "swift", "write_credentials"]


def store_client(server: SwiftServer) -> Any:
    """A client that somebody beside the store would use."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def write_credentials(path: Path, *, secret: str = SECRET_KEY) -> Path:
    """A credentials file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {secret}\n")
    return path


@pytest.fixture(scope="session")
def swift() -> Iterator[SwiftServer]:
    """A real S3 store."""
    if not is_installed():
        pytest.skip("needs Debian's swift-proxy, swift-account, swift-container and swift-object")
    with (
        tempfile.TemporaryDirectory(prefix="eucentric-swift-") as folder,
        running_swift(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def s3_client(swift: SwiftServer) -> Any:
    """A client that goes to the store itself."""
    return store_client(swift)


@pytest.fixture
def s3_relay(swift: SwiftServer) -> Iterator[Relay]:
    """A relay in front of the store."""
    with running_relay(swift.port) as relay:
        yield relay


@pytest.fixture
def s3_credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of the store."""
    return write_credentials(tmp_path_factory.mktemp("key") / "credentials")


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """A new and empty bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return name
