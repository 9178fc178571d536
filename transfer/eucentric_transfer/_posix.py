"""The mover for a folder both machines see: a local disk, a NAS, a parallel file system."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from eucentric_core import (
    DataFormatError,
    EucentricError,
    IntegrityError,
    OutOfSpaceError,
    TransferFailedError,
    fsync_directory,
    require_free_space,
)

from ._batch import put_each
from ._mover import FarEndError, Outgoing, RemoteFile
from ._names import checked_name
from ._options import MoverOptions
from ._passage import Passage
from ._receive import another_content, receive

__all__ = ["PosixMover"]

_CHUNK_BYTES = 1 << 20
_PAID_CHUNK_BYTES = 64 << 10
"""What is paid for at once leaves at once, and stands in the way of control that long."""
_RESERVE_BYTES = 16 << 20
_KEPT = "the source is kept and nothing appeared under the name."


@contextmanager
def _typed(name: str, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError(
                f"{root} has no room for {name}.",
                safe=_KEPT,
                next_step=f"free space in {root}; it is tried again.",
            ) from error
        raise TransferFailedError(
            f"{name} in {root}: {error.strerror or error}.",
            safe=_KEPT,
            next_step="check that the folder is mounted and may be written; it is tried again.",
        ) from error


def _drop_from_cache(stream: BinaryIO) -> None:
    """Ask the kernel to forget the written pages, so that reading them back asks the storage."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class PosixMover:
    """Moves files into a folder: temporary name, fsync, hash read back, rename. See `Mover`.

    The root itself is never made: a share that is not mounted must fail, not fill the local disk.
    """

    def __init__(self, root: Path, options: MoverOptions | None = None) -> None:
        self.root = root
        self._options = options or MoverOptions()
        self._paid = self._options.bandwidth if self._options.paced else None
        self._chunk_bytes = _CHUNK_BYTES if self._paid is None else _PAID_CHUNK_BYTES

    def _path(self, name: str) -> Path:
        path = self.root.joinpath(*checked_name(name))
        if not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise DataFormatError(
                f"{name} leads out of {self.root} through a symbolic link.",
                safe="nothing was read or written.",
                next_step="remove the link.",
            )
        return path

    def put(self, source: Path, name: str, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.put`."""
        try:
            stream = source.open("rb")
        except OSError as error:
            raise IntegrityError(
                f"The file to send, {source.name}, cannot be read: {error.strerror or error}.",
                safe="nothing was written at the far end.",
                next_step="see the journal's quarantine; the other files are not affected.",
            ) from error
        with stream:
            return self._store(stream, os.fstat(stream.fileno()).st_size, name, sha256)

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        """See `Mover.put_many`."""
        return put_each(self._put, files, self._options.stopping)

    def _put(self, file: Outgoing) -> RemoteFile:
        if isinstance(file.source, Path):
            return self.put(file.source, file.name, sha256=file.sha256)
        return self._store(io.BytesIO(file.source), len(file.source), file.name, file.sha256)

    def put_bytes(self, content: bytes, name: str) -> RemoteFile:
        """See `Mover.put_bytes`."""
        return self._store(io.BytesIO(content), len(content), name, None)

    def _store(self, stream: BinaryIO, size_bytes: int, name: str, expected: str | None) -> RemoteFile:
        path = self._path(name)
        # A fixed temporary name: what a killed transfer leaves behind is overwritten by the next try.
        temporary = path.with_name(f".{path.name}.part")
        with _typed(name, self.root):
            self._require_root(name)
            require_free_space(self.root, size_bytes + _RESERVE_BYTES)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                sent = self._copy(stream, temporary, self._passage(name, size_bytes), expected)
                self._confirm(temporary, name, sent)
                # Asked before: under its name somebody may take it away at once.
                stored_bytes = temporary.stat().st_size
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            fsync_directory(path.parent)
            return RemoteFile(name=name, size_bytes=stored_bytes, sha256=sent)

    def _passage(self, name: str, size_bytes: int) -> Passage:
        return Passage(
            name,
            size_bytes,
            bandwidth=self._paid,
            stopping=self._options.stopping,
            on_progress=self._options.on_progress,
        )

    def _require_root(self, name: str) -> None:
        if not self.root.is_dir():
            raise FarEndError(
                f"{name} in {self.root}: the folder is not there.",
                safe=_KEPT,
                next_step="check that the folder is mounted; it is tried again.",
            )

    def _copy(self, stream: BinaryIO, temporary: Path, passage: Passage, expected: str | None) -> str:
        digest = hashlib.sha256()
        with temporary.open("wb") as target:
            while chunk := stream.read(self._chunk_bytes):
                passage.let_through(len(chunk))
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
            _drop_from_cache(target)
        sent = digest.hexdigest()
        if expected is not None and sent != expected:
            raise IntegrityError(
                f"The file to send as {passage.name} has changed since it was sealed.",
                safe="it was not delivered; the local file is kept.",
                next_step="inspect the local file and the disk it lies on.",
                expected_sha256=expected,
                found_sha256=sent,
            )
        return sent

    def _confirm(self, temporary: Path, name: str, sent: str) -> None:
        arrived = self._hash(temporary, name)
        if arrived != sent:
            raise TransferFailedError(
                f"{name} arrived in {self.root} with another content than it left with.",
                safe=_KEPT,
                next_step="check the storage; it is tried again.",
                sent_sha256=sent,
                arrived_sha256=arrived,
            )

    def _chunks(self, path: Path, name: str) -> Iterator[bytes]:
        """The content at the far end. It crosses the network as well, and is paid for as well."""
        with path.open("rb") as stream:
            passage = Passage(name, 0, bandwidth=self._paid, stopping=self._options.stopping)
            while chunk := stream.read(self._chunk_bytes):
                passage.let_through(len(chunk))
                yield chunk

    def _hash(self, path: Path, name: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(path, name):
            digest.update(chunk)
        return digest.hexdigest()

    def size(self, name: str) -> int | None:
        """See `Mover.size`."""
        path = self._path(name)
        with _typed(name, self.root):
            self._require_root(name)
            return path.stat().st_size if path.is_file() else None

    def sha256(self, name: str) -> str:
        """See `Mover.sha256`."""
        path = self._path(name)
        with _typed(name, self.root):
            return self._hash(path, name)

    def read_bytes(self, name: str, *, max_bytes: int) -> bytes:
        """See `Mover.read_bytes`."""
        path = self._path(name)
        with _typed(name, self.root), path.open("rb") as stream:
            content = stream.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise DataFormatError(
                f"{name} is longer than {max_bytes} bytes.",
                safe="it was not used.",
                next_step="check who wrote it.",
            )
        return content

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """See `Mover.read_many`."""
        return {
            name: None if self.size(name) is None else self.read_bytes(name, max_bytes=max_bytes)
            for name in names
        }

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.get`."""
        path = self._path(name)
        with _typed(name, self.root):
            self._require_root(name)
            size_bytes = path.stat().st_size
            return receive(self._chunks(path, name), target, name=name, size_bytes=size_bytes, sha256=sha256)

    def remove(self, name: str, *, sha256: str) -> None:
        """See `Mover.remove`."""
        path = self._path(name)
        with _typed(name, self.root):
            self._require_root(name)
            if not path.is_file():
                return
            found = self._hash(path, name)
            if found != sha256:
                raise another_content(name, expected=sha256, found=found)
            path.unlink()
            fsync_directory(path.parent)

    def close(self) -> None:
        """See `Mover.close`."""

    def list(self, folder: str) -> tuple[str, ...]:
        """See `Mover.list`."""
        path = self._path(folder)
        with _typed(folder, self.root):
            self._require_root(folder)
            if not path.is_dir():
                return ()
            names = (entry.name for entry in path.iterdir() if entry.is_file())
            return tuple(sorted(name for name in names if not name.startswith(".")))
