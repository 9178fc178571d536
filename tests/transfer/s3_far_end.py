"""A bucket of a real store as the far end of a mover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import S3Settings
from eucentric_transfer import Mover, MoverOptions, open_mover

from ..servers.http_relay import Relay
from ..servers.swift import SwiftServer
from .far_ends import FarEnd, Fault

PREFIX = "site/lab-1"


@dataclass
class Bucket(FarEnd):
    """A bucket that is new and empty; the mover reaches it through a relay.

    Args:
        server: the store.
        relay: in front of it.
        bucket: name of the bucket.
        credentials: file with the key.
        client: goes to the store itself.
    """

    server: SwiftServer
    relay: Relay
    bucket: str
    credentials: Path
    client: Any = field(repr=False)

    @property
    def address(self) -> str:
        """Where a mover is opened to."""
        return f"s3://{self.bucket}/{PREFIX}"

    def settings(self, **more: Any) -> S3Settings:
        """Settings of the store, with time-outs that a test can wait for."""
        wanted: dict[str, Any] = {
            "endpoint": self.relay.url,
            "credentials": self.credentials,
            "part_bytes": 5 << 20,
            "attempts": 1,
            "connect_timeout_s": 5,
            "read_timeout_s": 10,
        }
        return S3Settings.model_validate({**wanted, **more})

    def open(self, options: MoverOptions | None = None, **settings: Any) -> Mover:
        given = options or MoverOptions()
        return open_mover(
            self.address,
            options=MoverOptions(
                state=given.state,
                bandwidth=given.bandwidth,
                paced=given.paced,
                stopping=given.stopping,
                on_progress=given.on_progress,
                s3=self.settings(**settings),
            ),
        )

    def files(self) -> Mapping[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {
            entry["Key"].removeprefix(f"{PREFIX}/"): self.client.get_object(
                Bucket=self.bucket, Key=entry["Key"]
            )["Body"].read()
            for entry in listed
        }

    def plant(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{PREFIX}/{name}", Body=content)

    def parts_there(self, name: str) -> list[int]:
        """Numbers of the parts that the store holds of unfinished uploads of a file."""
        key = f"{PREFIX}/{name}"
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=key).get("Uploads", ())
        return sorted(
            part["PartNumber"]
            for upload in uploads
            for part in self.client.list_parts(Bucket=self.bucket, Key=key, UploadId=upload["UploadId"]).get(
                "Parts", ()
            )
        )

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        self.relay.gone = fault == "gone"
        self.relay.damage = fault == "damaging"
        try:
            yield
        finally:
            self.relay.well()


@pytest.fixture
def s3_far_end(
    swift: SwiftServer, s3_relay: Relay, bucket: str, s3_credentials: Path, s3_client: Any
) -> Bucket:
    return Bucket(swift, s3_relay, bucket, s3_credentials, s3_client)
