"""This machine's side: which local file is which path of the collection that shows its disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    IntegrityError,
    OutOfSpaceError,
    TransferFailedError,
    require_free_space,
)

from .._mover import Outgoing

__all__ = ["LocalSide", "Prepared"]

_CHUNK_BYTES = 1 << 20
_RESERVE_BYTES = 16 << 20
_KEEP_COPIES_S = 30 * 86400.0
_STAGING = "globus-staging"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that is ready to go.

    Args:
        path: where it is in the source collection.
        checksum: in the algorithm both ends are asked for, hexadecimal.
        copy: a local copy that was made for the transfer.
    """

    name: str
    path: str
    size_bytes: int
    sha256: str
    checksum: str
    copy: Path | None = None


class LocalSide:
    """A local folder that a collection shows, and a place in it for what is made for a transfer.

    Args:
        root: the local folder.
        base: its path within the collection.
        algorithm: of the checksums, a name `hashlib` knows.
    """

    def __init__(self, root: Path, base: str, algorithm: str) -> None:
        self._root = root
        self._base = base.rstrip("/")
        self._algorithm = algorithm
        self._staging = root / _STAGING

    def path_of(self, local: Path) -> str | None:
        """The collection's path of a local file, None if it is not shown there."""
        # Where links lead counts: the collection does not follow them out of what it shows.
        inside = local.resolve()
        root = self._root.resolve()
        if not inside.is_relative_to(root):
            return None
        return f"{self._base}/{inside.relative_to(root).as_posix()}"

    def prepare(self, file: Outgoing) -> Prepared:
        """Confirm what is to be sent, and copy it into the folder if it lies elsewhere.

        Raises:
            IntegrityError: it cannot be read, or is not what `sha256` says.
            OutOfSpaceError: the local disk has no room for a copy.
        """
        if isinstance(file.source, bytes) or (path := self.path_of(file.source)) is None:
            prepared = self._copied(file, file.source)
        else:
            with _readable(file):
                digests = self._digests(file.source)
            prepared = Prepared(file.name, path, *digests)
        if file.sha256 is not None and prepared.sha256 != file.sha256:
            self.discard(prepared.copy)
            raise IntegrityError(
                f"The file to send as {file.name} has changed since it was sealed.",
                safe="it was not delivered; the local file is kept.",
                next_step="inspect the local file and the disk it lies on.",
                expected_sha256=file.sha256,
                found_sha256=prepared.sha256,
            )
        return prepared

    def _digests(self, path: Path) -> tuple[int, str, str]:
        ours, theirs, size = hashlib.sha256(), hashlib.new(self._algorithm, usedforsecurity=False), 0
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
                ours.update(chunk)
                theirs.update(chunk)
        return size, ours.hexdigest(), theirs.hexdigest()

    def _copied(self, file: Outgoing, source: bytes | Path) -> Prepared:
        copy = self._new("out", uuid.uuid4().hex)
        try:
            if isinstance(source, bytes):
                with _writable(copy.parent, len(source)):
                    copy.write_bytes(source)
            else:
                with _readable(file):
                    size = source.stat().st_size
                    with _writable(copy.parent, size), source.open("rb") as reader, copy.open("wb") as writer:
                        shutil.copyfileobj(reader, writer, _CHUNK_BYTES)
            path = self.path_of(copy)
            if path is None:
                raise ConfigurationError(
                    f"{copy.parent} leads out of `globus.source_root`.",
                    safe="nothing was submitted.",
                    next_step=f"remove the link {self._staging}.",
                )
            return Prepared(file.name, path, *self._digests(copy), copy)
        except BaseException:
            self.discard(copy)
            raise

    def _new(self, kind: str, name: str) -> Path:
        folder = self._staging / kind
        with _writable(folder, 0):
            if not self._root.is_dir():
                raise FileNotFoundError(errno.ENOENT, "globus.source_root is not there")
            folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    @contextmanager
    def landing(self, size_bytes: int) -> Iterator[tuple[Path, str]]:
        """A new local folder for what is fetched, and its path in the collection; gone afterwards.

        Raises:
            OutOfSpaceError: the local disk has no room.
        """
        folder = self._new("in", uuid.uuid4().hex)
        with _writable(folder.parent, size_bytes):
            folder.mkdir()
        try:
            path = self.path_of(folder)
            if path is None:
                raise ConfigurationError(
                    f"{folder.parent} leads out of `globus.source_root`.",
                    safe="nothing was submitted.",
                    next_step=f"remove the link {self._staging}.",
                )
            yield folder, path
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def discard(self, copy: Path | str | None) -> None:
        """Remove a copy that was made for a transfer. What cannot be removed now, `tidy` removes later."""
        if copy is not None and Path(copy).is_relative_to(self._staging):
            with contextlib.suppress(OSError):
                Path(copy).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed transfers left here long ago."""
        limit = time.time() - _KEEP_COPIES_S
        for kind in ("in", "out"):
            folder = self._staging / kind
            try:
                found = list(folder.iterdir())
            except OSError:
                # Not there, mostly; what is wrong with it is said when something is to be put there.
                continue
            for left in found:
                with contextlib.suppress(OSError):
                    if left.stat().st_mtime < limit:
                        shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def _readable(file: Outgoing) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IntegrityError(
            f"The file to send as {file.name} cannot be read: {error.strerror or error}.",
            safe="nothing was written at the far end.",
            next_step="see the journal's quarantine; the other files are not affected.",
        ) from error


@contextmanager
def _writable(folder: Path, size_bytes: int) -> Iterator[None]:
    try:
        if size_bytes:
            require_free_space(folder, size_bytes + _RESERVE_BYTES)
        yield
    except EucentricError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError(
                f"{folder} has no room for what Globus is to move.",
                safe="nothing was submitted.",
                next_step="free space there.",
            ) from error
        raise TransferFailedError(
            f"{folder} cannot be used for what Globus is to move: {error.strerror or error}.",
            safe="nothing was submitted.",
            next_step="check that the folder of `globus.source_root` is there and may be written.",
        ) from error
