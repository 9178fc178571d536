"""MLflow's artefacts in an S3 store: out of it, and back into it without overwriting anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eucentric_core import EucentricError, S3Settings, Settings

from ._errors import BackupFailedError, RestoreRefusedError

if TYPE_CHECKING:
    from eucentric_transfer.s3 import S3Address

__all__ = ["ArtefactStore", "artefact_store"]

_CHUNK = 1 << 20


def artefact_store(settings: Settings) -> ArtefactStore | None:
    """The S3 store that holds MLflow's artefacts; None: they lie in a folder."""
    address = settings.hub.mlflow_artifacts
    if address is None or not address.startswith("s3://"):
        return None
    from eucentric_transfer.s3 import S3Address

    return ArtefactStore(settings.s3, S3Address.parse(address))


class ArtefactStore:
    """The objects below an address."""

    def __init__(self, settings: S3Settings, address: S3Address) -> None:
        from eucentric_transfer.s3 import open_client

        self._address = address
        self._client: Any = open_client(settings)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def names(self) -> tuple[str, ...]:
        """Of every object, without what all begin with.

        Raises:
            BackupFailedError: the store does not answer, or refuses.
        """
        prefix = self._address.prefix
        with _typed(BackupFailedError, f"{self._address} cannot be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._address.bucket, Prefix=prefix
            )
            found = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return tuple(key.removeprefix(prefix) for key in found if not key.endswith("/"))

    def fetch(self, name: str, target: Path) -> None:
        """Bring an object here.

        Raises:
            BackupFailedError: the store does not answer, or refuses.
        """
        with (
            _typed(BackupFailedError, f"{name} of {self._address} cannot be fetched"),
            target.open("wb") as to,
        ):
            self._client.download_fileobj(self._address.bucket, self._address.prefix + name, to)

    def require_room(self, files: dict[str, str]) -> None:
        """Refuse if an object lies there under one of these names and is not what is to be put.

        Args:
            files: SHA-256 by name.

        Raises:
            RestoreRefusedError: something else lies there.
        """
        for name in sorted(set(self.names()) & set(files)):
            if self._sha256(name) != files[name]:
                raise RestoreRefusedError(
                    f"{name} lies in {self._address} already, and is not what the archive holds.",
                    safe="nothing was restored, and nothing in the store was changed.",
                    next_step="restore into an empty bucket or prefix: change hub.mlflow_artifacts.",
                )

    def put(self, source: Path, name: str) -> None:
        """Put a file into the store, and read it back.

        Raises:
            RestoreRefusedError: it did not arrive.
        """
        with source.open("rb") as stream:
            wanted = hashlib.file_digest(stream, "sha256").hexdigest()
        with _typed(RestoreRefusedError, f"{name} cannot be put into {self._address}"):
            self._client.upload_file(str(source), self._address.bucket, self._address.prefix + name)
        if self._sha256(name) != wanted:
            raise RestoreRefusedError(
                f"{name} did not arrive in {self._address} as it left.",
                safe="the restored hub was not put in place.",
                next_step="try again.",
            )

    def _sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with _typed(RestoreRefusedError, f"{name} of {self._address} cannot be read"):
            answer = self._client.get_object(Bucket=self._address.bucket, Key=self._address.prefix + name)
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


@contextmanager
def _typed(kind: type[EucentricError], what: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise kind(
            f"{what}: {str(error).rstrip('.')}.",
            safe="nothing that was there before has changed.",
            next_step="check the section [s3] and the store, then try again.",
        ) from error
