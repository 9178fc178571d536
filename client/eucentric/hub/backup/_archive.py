"""An archive: a tar file whose last member holds the hash of every other. Written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pydantic import ValidationError

from eucentric_core import fsync_directory

from ._errors import ArchiveDamagedError, BackupFailedError
from ._manifest import MANIFEST, BackupManifest, Member

__all__ = ["ArchiveFacts", "ArchiveWriter", "archive_name", "archives", "newest_archive", "read_archive"]

_NAME = re.compile(r"eucentric-hub-(\d{8}T\d{6}Z)\.tar")
_TIME = "%Y%m%dT%H%M%SZ"
_CHUNK = 1 << 20
_MAX_MANIFEST_BYTES = 256 << 20


class ArchiveFacts(NamedTuple):
    """An archive that was finished, and when it was made."""

    path: Path
    made_utc: datetime


def archive_name(made_utc: datetime) -> str:
    """The file's name."""
    return f"eucentric-hub-{made_utc:{_TIME}}.tar"


def archives(folder: Path) -> tuple[ArchiveFacts, ...]:
    """The finished archives of a folder, the oldest first."""
    found = []
    for path in folder.glob("eucentric-hub-*.tar") if folder.is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) is not None:
            found.append(ArchiveFacts(path, datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)))
    return tuple(sorted(found, key=lambda one: one.made_utc))


def newest_archive(folder: Path) -> ArchiveFacts | None:
    """The newest finished archive of a folder."""
    return next(reversed(archives(folder)), None)


class ArchiveWriter:
    """Adds files to an archive and keeps the hash of each."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, Member] = {}

    def add_file(self, path: Path, name: str) -> None:
        """Copy a file as it is now; what is appended meanwhile is not in the copy.

        Raises:
            FileNotFoundError: it is gone.
            BackupFailedError: it became shorter while it was read.
        """
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            self._add(stream, name, facts.st_size, mode=facts.st_mode & 0o777, modified_s=int(facts.st_mtime))

    def add_bytes(self, content: bytes, name: str, *, mode: int = 0o644) -> None:
        """Add a document held in memory."""
        self._add(io.BytesIO(content), name, len(content), mode=mode, modified_s=0)

    def _add(self, stream: IO[bytes], name: str, size: int, *, mode: int, modified_s: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, mode, modified_s
        reading = _Hashed(stream, size)
        try:
            self._tar.addfile(info, reading)
        except OSError as error:
            if reading.left and error.errno is None:
                raise BackupFailedError(
                    f"{name} became shorter while it was copied.",
                    safe="the archives of before are untouched.",
                    next_step="run the backup again.",
                ) from error
            raise
        self.members[name] = Member(size_bytes=size, sha256=reading.hexdigest())


class _Hashed:
    """A stream of known length that is hashed as it is read."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.left = size

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(self.left if size < 0 else min(size, self.left))
        self._hash.update(content)
        self.left -= len(content)
        return content

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def writing_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive into a file that does not exist; it is on the disk when the block has ended."""
    with path.open("xb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            yield ArchiveWriter(tar)
        stream.flush()
        os.fsync(stream.fileno())
    fsync_directory(path.parent)


def read_archive(path: Path, *, into: Path | None = None) -> BackupManifest:
    """Check every byte of an archive against its manifest, and take it apart.

    Args:
        path: of the archive.
        into: folder for its files, which must not hold any of them; None: only check.

    Raises:
        ArchiveDamagedError: a member is missing, changed, doubled, or has no plain name. Files in `into` are
            worth nothing then.
    """
    found: dict[str, Member] = {}
    manifest: bytes | None = None
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                # Before it is opened: what a link names would be looked for.
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is None or not _is_plain(info.name) or info.name in found:
                    raise _damaged(path, f"holds {info.name!r}, which is no plain file or is there twice")
                if manifest is not None:
                    raise _damaged(path, f"goes on with {info.name!r} behind its manifest")
                if info.name == MANIFEST:
                    manifest = stream.read(_MAX_MANIFEST_BYTES)
                    continue
                target = None if into is None else into / info.name
                found[info.name] = _copy(stream, target, mode=info.mode & 0o777)
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(path, f"is no whole tar file: {error}") from error
    except OSError as error:
        raise _damaged(path, f"cannot be read or taken apart: {error.strerror or error}") from error
    if manifest is None:
        raise _damaged(path, "has no manifest: it was cut short")
    try:
        document = BackupManifest.model_validate_json(manifest)
    except ValidationError as error:
        raise _damaged(path, "has a manifest that this version cannot read") from error
    if document.members != found:
        different = sorted(
            name for name in {*found, *document.members} if found.get(name) != document.members.get(name)
        )
        raise _damaged(path, f"differs from its manifest in {', '.join(different[:5])}")
    return document


def _copy(stream: IO[bytes], target: Path | None, *, mode: int) -> Member:
    digest, size = hashlib.sha256(), 0
    if target is None:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                output.write(chunk)
    return Member(size_bytes=size, sha256=digest.hexdigest())


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _damaged(path: Path, why: str) -> ArchiveDamagedError:
    return ArchiveDamagedError(
        f"The archive {path} {why}.",
        safe="nothing was restored from it.",
        next_step="take another archive, or another copy of this one.",
        archive=str(path),
    )
