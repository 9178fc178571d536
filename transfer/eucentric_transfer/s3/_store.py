"""One bucket, asked small questions; what goes wrong is a typed error."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eucentric_core import DataFormatError, TransferFailedError

from .._mover import FarEndError
from .._options import MoverOptions
from .._passage import Passage
from ._address import S3Address
from ._body import pay_for_bodies
from ._client import open_client
from ._errors import client_error, is_missing, s3_errors, whole
from ._upload import MAX_PAGES, pages

__all__ = ["S3Store", "Where"]

Where = dict[str, str]
"""Bucket and key, as the SDK's methods take them."""

_CHUNK_BYTES = 256 << 10
_BUCKET_SEEN_FOR_S = 60.0


class S3Store:
    """A bucket under a prefix. The client is opened by the first question, any thread may ask.

    Args:
        address: bucket and prefix.
        options: with the settings of the store.
    """

    def __init__(self, address: S3Address, options: MoverOptions) -> None:
        self.address = address
        self._options = options
        self._lock = threading.Lock()
        self._client: Any = None
        self._bucket_seen_s = -_BUCKET_SEEN_FOR_S

    def close(self) -> None:
        """Close the client's connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    @contextmanager
    def asking(self, name: str) -> Iterator[tuple[Any, Where]]:
        """The client, and bucket and key of a name; the SDK's errors become typed ones."""
        key = self.address.key(name)
        with s3_errors(name, str(self.address)):
            with self._lock:
                if self._client is None:
                    self._client = open_client(self._options.s3)
                    pay_for_bodies(self._client)
            yield self._client, {"Bucket": self.address.bucket, "Key": key}

    def passage(self, name: str, size_bytes: int, *, shown: bool = False) -> Passage:
        """The way of a file's bytes, sent or read; `shown` to who watches what is sent."""
        return Passage(
            name,
            size_bytes,
            bandwidth=self._options.bandwidth,
            stopping=self._options.stopping,
            on_progress=self._options.on_progress if shown else None,
        )

    def head(self, client: Any, where: Where) -> Any:
        """What the store says of an object, None if there is none."""
        checked = {"ChecksumMode": "ENABLED"} if self._options.s3.confirm == "checksums" else {}
        try:
            return whole(client.head_object(**where, **checked), "ContentLength", "ETag")
        except client_error() as error:
            if not is_missing(error):
                raise
            self._require_bucket(client)
            return None

    def _require_bucket(self, client: Any) -> None:
        """A store answers the same when the bucket is missing as when the object is: find out which."""
        if time.monotonic() - self._bucket_seen_s < _BUCKET_SEEN_FOR_S:
            return
        client.list_objects_v2(Bucket=self.address.bucket, MaxKeys=1)
        self._bucket_seen_s = time.monotonic()

    def chunks(self, answer: Any, passage: Passage) -> Iterator[bytes]:
        """The content of an answer. It crosses the network as well, and is paid for as well."""
        with s3_errors(passage.name, str(self.address)):
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                passage.let_through(len(chunk))
                yield chunk

    def get(self, client: Any, where: Where) -> Any:
        """An object's content, to be read, with its length."""
        return whole(client.get_object(**where), "ContentLength")

    def hash(self, client: Any, where: Where, name: str) -> str:
        """SHA-256 of an object's content, read back."""
        answer = self.get(client, where)
        digest = hashlib.sha256()
        length = 0
        for chunk in self.chunks(answer, self.passage(name, 0)):
            digest.update(chunk)
            length += len(chunk)
        if length != answer["ContentLength"]:
            raise TransferFailedError(
                f"{name} could not be read to its end at {self.address}.",
                safe="nothing was changed.",
                next_step="it is tried again.",
            )
        return digest.hexdigest()

    def read(self, client: Any, where: Where, name: str, max_bytes: int) -> bytes:
        """A small object."""
        answer = self.get(client, where)
        with answer["Body"] as stream:
            content: bytes = stream.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise DataFormatError(
                f"{name} is longer than {max_bytes} bytes.",
                safe="it was not used.",
                next_step="check who wrote it.",
            )
        if len(content) != answer["ContentLength"]:
            raise FarEndError(
                f"{self.address} hung up in the middle of {name}.",
                safe="nothing was changed.",
                next_step="check the network and the store; it is tried again.",
            )
        return content

    def read_if_there(self, name: str, max_bytes: int) -> bytes | None:
        """A small object, None if there is none."""
        with self.asking(name) as (client, where):
            try:
                return self.read(client, where, name, max_bytes)
            except client_error() as error:
                if not is_missing(error):
                    raise
                return None

    def names(self, folder: str, *, max_pages: int = MAX_PAGES) -> tuple[str, ...]:
        """Names directly under a folder's, sorted.

        Raises:
            ListingCutError: there are more than so many pages hold.
        """
        with self.asking(folder) as (client, where):
            prefix = f"{where['Key']}/"
            found = [
                str(entry["Key"])[len(prefix) :]
                for page in pages(
                    client.list_objects_v2,
                    (("ContinuationToken", "NextContinuationToken"),),
                    max_pages=max_pages,
                    Bucket=self.address.bucket,
                    Prefix=prefix,
                    Delimiter="/",
                )
                for entry in page.get("Contents", ())
            ]
        return tuple(sorted(name for name in found if name and not name.startswith(".")))
