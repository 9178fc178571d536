"""Bringing a bundle's files to this machine: plain files only, bounded in number and size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from eucentric_core import BundleError, OutOfSpaceError, fsync_directory, require_free_space

__all__ = ["fetch_bundle"]

MAX_FILES = 257
MAX_BUNDLE_BYTES = 2 << 30

_CHUNK_BYTES = 1 << 20


def fetch_bundle(source: Path, destination: Path) -> None:
    """Copy a bundle folder, durably. Links, folders and special files are refused, never followed.

    Args:
        source: the folder as published.
        destination: must not exist.

    Raises:
        BundleError: the folder cannot be read, or holds what no bundle holds.
        OutOfSpaceError: there is no room for it.
    """
    try:
        sizes = _plain_files(source)
        require_free_space(destination.parent, sum(sizes.values()))
        destination.mkdir()
        for name, size in sizes.items():
            _copy(source / name, destination / name, size)
        fsync_directory(destination)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError(
                f"No room to fetch the bundle {source.name}.",
                safe="the model in service keeps serving.",
                next_step=f"free space in {destination.parent} and install it again.",
            ) from error
        raise _refuse(f"The bundle {source} cannot be read: {error.strerror}.") from error


def _plain_files(source: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    with os.scandir(source) as entries:
        for entry in entries:
            if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                raise _refuse(f"{entry.name!r} in the bundle is not a plain file.")
            sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
            if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_BUNDLE_BYTES:
                raise _refuse(f"The bundle {source} has over {MAX_FILES} files or {MAX_BUNDLE_BYTES} bytes.")
    return sizes


def _copy(source: Path, destination: Path, size: int) -> None:
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as reader, destination.open("xb") as writer:
        # A file that grows while it is read ends at the size it was announced with.
        for start in range(0, size, _CHUNK_BYTES):
            writer.write(reader.read(min(_CHUNK_BYTES, size - start)))
        writer.flush()
        os.fsync(writer.fileno())


def _refuse(what: str) -> BundleError:
    return BundleError(
        what, safe="the model in service keeps serving.", next_step="check the folder and publish it again."
    )
