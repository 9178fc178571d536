"""Where a site's S3 store is, and how this machine proves who it is: by name, never by the secret itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ._model import FrozenModel

__all__ = ["S3Settings"]

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Url = Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+$")]
_Seconds = Annotated[float, Field(gt=0, le=600)]


class S3Settings(FrozenModel):
    """The store behind addresses such as `s3://bucket/prefix`.

    The access key is no setting: it is read from `credentials`, or from the places every S3 tool knows
    (environment, `~/.aws/credentials`, the machine's own role).

    Args:
        endpoint: URL of a store of the site; None for Amazon's.
        region: name the signature is made for.
        profile: which of the profiles in the credentials file; None for the default one.
        credentials: a shared-credentials file (INI) that only the account of the service may read.
        authority: certificates (PEM) that the store's own must descend from; None for the system's.
        path_style: bucket in the path (`endpoint/bucket/name`), not in the host name.
        part_bytes: larger files go in parts of this size; a transfer that was cut goes on at the part.
        connections: how many parts or small files are on their way at a time.
        confirm: how a file's arrival is confirmed: `read_back` reads it again and hashes it; `checksums`
            takes the SHA-256 that the store itself verified, and reads back where the store has none.
        abandon_after_s: an upload in parts that nobody has ended for so long is given up at the store.
        attempts: how often a request is sent before its failure is reported.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest wait for an answer.
    """

    endpoint: _Url | None = None
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "us-east-1"
    profile: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    credentials: _AbsolutePath | None = None
    authority: _AbsolutePath | None = None
    path_style: bool = True
    part_bytes: Annotated[int, Field(ge=5 << 20, le=1 << 30)] = 16 << 20
    connections: Annotated[int, Field(ge=1, le=32)] = 4
    confirm: Literal["read_back", "checksums"] = "read_back"
    abandon_after_s: Annotated[float, Field(ge=3600, le=90 * 86400)] = 7 * 86400.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    connect_timeout_s: _Seconds = 10.0
    read_timeout_s: _Seconds = 60.0
