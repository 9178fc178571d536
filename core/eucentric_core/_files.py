"""Writing files so that a reader sees all of one or none of it, and knowing what is in them."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from ._errors import OutOfSpaceError

__all__ = ["fsync_directory", "require_free_space", "sha256_file", "write_atomic"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_directory(path: Path) -> None:
    """Make renames inside a folder durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file: temporary name, fsync, rename. Any number of writers may write one file.

    Args:
        path: where it appears, whole.
        content: what it holds.
        durable: False leaves out the fsync, for what is worth nothing after a power cut.

    Raises:
        OutOfSpaceError: disk, quota or allowed file size is exhausted; what was there is unchanged.
        OSError: the folder is missing or may not be written; what was there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
        if durable:
            fsync_directory(path.parent)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OutOfSpaceError(
                f"No room to write {path.name} ({len(content)} bytes).",
                safe="the previous file, if any, is unchanged.",
                next_step=f"free space in {path.parent} and try again.",
            ) from error
        raise
    finally:
        # After the rename there is nothing left under this name.
        temporary.unlink(missing_ok=True)


def require_free_space(folder: Path, needed_bytes: int) -> None:
    """Refuse work that the disk has no room for, before it starts. `folder` need not exist yet.

    Raises:
        OutOfSpaceError: less than `needed_bytes` are free where `folder` lies.
    """
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise OutOfSpaceError(
            f"{folder} has {free // 2**20} MiB free, {needed_bytes // 2**20} MiB are needed.",
            safe="nothing was started.",
            next_step="free space, or choose another folder.",
            free_bytes=free,
            needed_bytes=needed_bytes,
        )
