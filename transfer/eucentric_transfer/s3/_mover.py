"""The mover for an S3 store: Amazon's, or one of the site (Ceph, MinIO, Swift)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from eucentric_core import EucentricError, IntegrityError, TransferFailedError

from .._batch import put_each
from .._mover import FarEndError, Outgoing, RemoteFile
from .._names import checked_name
from .._options import MoverOptions
from .._receive import another_content, receive
from ._address import S3Address
from ._body import Body
from ._client import require_sdk
from ._digests import FileDigests, digest_bytes, digest_file
from ._store import S3Store, Where
from ._upload import ListingCutError, PartsUpload, abandon_old_uploads

__all__ = ["S3Mover", "open_s3"]

_SWEEP_EVERY_S = 86400.0
_MAX_KNOWN = 4096
_WORTH_A_LISTING = 8

_log = logging.getLogger(__name__)


def open_s3(url: str, options: MoverOptions) -> S3Mover:
    """The mover for an address such as `s3://bucket/prefix`.

    Raises:
        ConfigurationError: the address is none, or boto3 is not installed.
    """
    address = S3Address.parse(url)
    require_sdk()
    return S3Mover(address, options)


class S3Mover:
    """Moves files into a bucket. See `Mover`.

    An object appears whole by the store's own promise. What was sent is signed with its SHA-256 and carries
    its MD5, both of which the store verifies before it takes it; then the object is read back and hashed,
    unless the settings trust the SHA-256 that the store itself verified and keeps.

    Nothing speaks to the store before the first call: a key that is missing or wrong is a `FarEndError` of
    that call, and is well again when the key is there.

    Args:
        address: bucket and prefix.
        options: with the settings of the store.
    """

    def __init__(self, address: S3Address, options: MoverOptions | None = None) -> None:
        self._options = options or MoverOptions()
        self._settings = self._options.s3
        self._store = S3Store(address, self._options)
        self._pool = ThreadPoolExecutor(self._settings.connections, thread_name_prefix="s3")
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, str]] = {}
        self._swept_s = -_SWEEP_EVERY_S

    def __repr__(self) -> str:
        return f"S3Mover({str(self._store.address)!r})"

    def close(self) -> None:
        """See `Mover.close`."""
        self._pool.shutdown()
        self._store.close()

    def put(self, source: Path, name: str, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.put`."""
        return self._put(Outgoing(source, name, sha256))

    def put_bytes(self, content: bytes, name: str) -> RemoteFile:
        """See `Mover.put_bytes`."""
        return self._put(Outgoing(content, name))

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        """See `Mover.put_many`. Small files go side by side, large ones with their parts side by side."""
        sorted_files = [(file, self._is_small(file)) for file in files]
        stopping = self._options.stopping
        small = put_each(
            self._put, [f for f, is_small in sorted_files if is_small], stopping, pool=self._pool
        )
        large = put_each(self._put, [f for f, is_small in sorted_files if not is_small], stopping)
        answers = {True: iter(small), False: iter(large)}
        return tuple(next(answers[is_small]) for _, is_small in sorted_files)

    def size(self, name: str) -> int | None:
        """See `Mover.size`."""
        with self._store.asking(name) as (client, where):
            found = self._store.head(client, where)
        return None if found is None else int(found["ContentLength"])

    def sha256(self, name: str) -> str:
        """See `Mover.sha256`."""
        with self._store.asking(name) as (client, where):
            return self._store.hash(client, where, name)

    def read_bytes(self, name: str, *, max_bytes: int) -> bytes:
        """See `Mover.read_bytes`."""
        with self._store.asking(name) as (client, where):
            return self._store.read(client, where, name, max_bytes)

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """See `Mover.read_many`. Where many are asked for, their folders are listed first."""
        there = names
        if len(names) >= _WORTH_A_LISTING:
            folders = {"/".join(checked_name(name)[:-1]) for name in names} - {""}
            try:
                listed = {
                    f"{folder}/{found}"
                    for folder in folders
                    for found in self._store.names(folder, max_pages=_WORTH_A_LISTING)
                }
                there = [name for name in names if "/" not in name or name in listed]
            except ListingCutError:
                # To ask for each by its name is cheaper than such a listing.
                pass
        contents = self._pool.map(lambda name: self._store.read_if_there(name, max_bytes), there)
        found = dict(zip(there, contents, strict=True))
        return {name: found.get(name) for name in names}

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.get`."""
        with self._store.asking(name) as (client, where):
            answer = self._store.get(client, where)
            size_bytes = int(answer["ContentLength"])
            chunks = self._store.chunks(answer, self._store.passage(name, size_bytes))
            arrived = receive(chunks, target, name=name, size_bytes=size_bytes, sha256=sha256)
            if "ETag" in answer:
                self._remember(name, answer["ETag"], arrived.sha256)
        return arrived

    def remove(self, name: str, *, sha256: str) -> None:
        """See `Mover.remove`. What this mover has read and what has not changed since is not read again."""
        with self._store.asking(name) as (client, where):
            head = self._store.head(client, where)
            if head is None:
                return
            tag, known = self._known.get(name, ("", ""))
            found = known if tag == head["ETag"] else self._store.hash(client, where, name)
            if found != sha256:
                raise another_content(name, expected=sha256, found=found)
            client.delete_object(**where)
            with self._lock:
                self._known.pop(name, None)

    def list(self, folder: str) -> tuple[str, ...]:
        """See `Mover.list`."""
        return self._store.names(folder)

    def _is_small(self, file: Outgoing) -> bool:
        if isinstance(file.source, bytes):
            return True
        try:
            return file.source.stat().st_size <= self._settings.part_bytes
        except OSError:
            return True  # whoever opens it says what is wrong with it

    def _put(self, file: Outgoing) -> RemoteFile:
        checked_name(file.name)
        go_on = self._store.passage(file.name, 0).go_on
        digests = (
            digest_bytes(file.source)
            if isinstance(file.source, bytes)
            else digest_file(file.source, self._settings.part_bytes, go_on=go_on)
        )
        if file.sha256 is not None and digests.sha256 != file.sha256:
            raise IntegrityError(
                f"The file to send as {file.name} has changed since it was sealed.",
                safe="it was not delivered; the local file is kept.",
                next_step="inspect the local file and the disk it lies on.",
                expected_sha256=file.sha256,
                found_sha256=digests.sha256,
            )
        go_on()
        with self._store.asking(file.name) as (client, where):
            self._sweep(client)
            if not self._is_there(client, where, file.name, digests):
                sent_whole = self._send(client, where, file, digests)
                # A checksum vouches for what was sent with it just now, and for nothing older.
                trusted = sent_whole and self._settings.confirm == "checksums"
                self._confirm(client, where, file.name, digests, read_back=not trusted)
        return RemoteFile(name=file.name, size_bytes=digests.size_bytes, sha256=digests.sha256)

    def _is_there(self, client: Any, where: Where, name: str, digests: FileDigests) -> bool:
        """Whether a try that was killed had arrived. What is damaged there is no reason not to send again."""
        if not self._seems_there(client, where, digests):
            return False
        try:
            self._confirm(client, where, name, digests, read_back=True)
        except FarEndError:
            raise
        except TransferFailedError as error:
            _log.warning("%s is sent again: %s", name, error.what)
            return False
        return True

    def _seems_there(self, client: Any, where: Where, digests: FileDigests) -> bool:
        """Whether the store says so."""
        if len(digests.parts) == 1:
            return False
        head = self._store.head(client, where)
        return head is not None and (head["ContentLength"], head.get("Metadata", {}).get("sha256")) == (
            digests.size_bytes,
            digests.sha256,
        )

    def _send(self, client: Any, where: Where, file: Outgoing, digests: FileDigests) -> bool:
        """Send a file; whether every byte of the object left just now."""
        passage = self._store.passage(file.name, digests.size_bytes, shown=True)
        checksums = self._settings.confirm == "checksums"
        if isinstance(file.source, Path) and len(digests.parts) > 1:
            return PartsUpload(
                client, where["Bucket"], where["Key"], file.source, digests, passage, checksums=checksums
            ).run(self._pool)
        (part,) = digests.parts
        more = {"ChecksumSHA256": part.checksum_sha256} if checksums else {}
        wanted = {**where, "Metadata": {"sha256": digests.sha256}, "ContentMD5": part.content_md5, **more}
        if isinstance(file.source, bytes):
            passage.let_through(len(file.source))
            client.put_object(**wanted, Body=file.source)
            return True
        with Body(file.source, 0, digests.size_bytes, passage) as body:
            client.put_object(**wanted, Body=body)
        return True

    def _confirm(
        self, client: Any, where: Where, name: str, digests: FileDigests, *, read_back: bool
    ) -> None:
        address = self._store.address
        head = self._store.head(client, where)
        if head is None or head["ContentLength"] != digests.size_bytes:
            raise TransferFailedError(
                f"{address} took {name}, and has not got it.",
                safe="the source is kept; it does not count as arrived.",
                next_step="it is tried again; ask who runs the store if it stays.",
                arrived_bytes=None if head is None else int(head["ContentLength"]),
            )
        kept = head.get("ChecksumSHA256")
        if not read_back and kept is not None:
            arrived, expected = str(kept), digests.checksum_sha256
        else:
            arrived, expected = self._store.hash(client, where, name), digests.sha256
        if arrived != expected:
            raise TransferFailedError(
                f"{name} lies at {address} with another content than it left with.",
                safe="the source is kept; it does not count as arrived.",
                next_step="it is tried again; ask who runs the store if it stays.",
                sent_sha256=expected,
                arrived_sha256=arrived,
            )
        self._remember(name, head["ETag"], digests.sha256)

    def _remember(self, name: str, tag: str, sha256: str) -> None:
        with self._lock:
            if len(self._known) >= _MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[name] = (tag, sha256)

    def _sweep(self, client: Any) -> None:
        """Once a day: give up what was begun and never ended, which the store would bill for ever."""
        with self._lock:
            if time.monotonic() - self._swept_s < _SWEEP_EVERY_S:
                return
            self._swept_s = time.monotonic()
        address = self._store.address
        abandon_old_uploads(
            client, address.bucket, address.prefix, older_than_s=self._settings.abandon_after_s
        )
