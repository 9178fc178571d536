"""A file from the far end becomes a local one: whole and what it should be, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from eucentric_core import (
    ConfigurationError,
    IntegrityError,
    OutOfSpaceError,
    TransferFailedError,
    fsync_directory,
    require_free_space,
)

from ._mover import RemoteFile

__all__ = ["another_content", "receive"]


def another_content(name: str, *, expected: str, found: str) -> IntegrityError:
    """Something else lies under a name than should."""
    return IntegrityError(
        f"{name} at the far end has another content than expected.",
        safe="it was left as it is, and nothing here was changed.",
        next_step="find out who wrote it; compare the two hashes.",
        expected_sha256=expected,
        found_sha256=found,
    )


def receive(
    chunks: Iterable[bytes], target: Path, *, name: str, size_bytes: int, sha256: str | None
) -> RemoteFile:
    """Write what arrives under a temporary name, confirm it, and rename. See `Mover.get`."""
    # A fixed temporary name: what a killed transfer left is overwritten.
    temporary = target.with_name(f".{target.name}.part")
    try:
        if not target.parent.is_dir():
            raise ConfigurationError(
                f"There is no folder {target.parent} to fetch {name} into.",
                safe="nothing was fetched.",
                next_step="make the folder.",
            )
        require_free_space(target.parent, size_bytes)
        try:
            found, length = _write(chunks, temporary, name)
            if length != size_bytes:
                raise TransferFailedError(
                    f"{name} ended after {length} of {size_bytes} bytes.",
                    safe="nothing was changed here or there.",
                    next_step="it can be fetched again.",
                )
            if sha256 is not None and found != sha256:
                raise another_content(name, expected=sha256, found=found)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_directory(target.parent)
    except OSError as error:
        raise _local_failure(error, target) from error
    return RemoteFile(name=name, size_bytes=length, sha256=found)


def _write(chunks: Iterable[bytes], temporary: Path, name: str) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    with temporary.open("wb") as stream:
        for chunk in _readable(chunks, name):
            digest.update(chunk)
            stream.write(chunk)
            length += len(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest(), length


def _readable(chunks: Iterable[bytes], name: str) -> Iterable[bytes]:
    """The chunks; an error in reading them is the far end's, one in writing them is ours."""
    try:
        yield from chunks
    except OSError as error:
        raise TransferFailedError(
            f"{name} could not be read at the far end: {error.strerror or error}.",
            safe="nothing was changed here or there.",
            next_step="check the far end; it can be fetched again.",
        ) from error


def _local_failure(error: OSError, target: Path) -> OutOfSpaceError | TransferFailedError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(
            f"{target.parent} has no room for {target.name}.",
            safe="what was there is unchanged.",
            next_step="free space and fetch it again.",
        )
    return TransferFailedError(
        f"{target} cannot be written: {error.strerror or error}.",
        safe="what was there is unchanged.",
        next_step="check the folder and its permissions.",
    )
