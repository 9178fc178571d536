"""Files of shared memory: private to one user, locked while their owner lives, swept when it has died."""

from __future__ import annotations

import logging
import mmap
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec

__all__ = [
    "TOKEN_BYTES",
    "SharedFile",
    "SharedMemoryError",
    "of_this_process",
    "shared_folder",
    "sweep_shared_files",
]

_Arguments = ParamSpec("_Arguments")

TOKEN_BYTES: Final = 16
_PREFIX = "eucentric-"
_NAME = re.compile(r"eucentric-(?:ring|held)-[0-9a-f]{32}")
_YOUNG_S = 10.0
_CREATIONS = 8
# Windows deletes such a file with its last handle and keeps it in memory if it can.
_PLATFORM_FLAGS = int(getattr(os, "O_TEMPORARY", 0)) | int(getattr(os, "O_BINARY", 0))
_NO_LINKS = int(getattr(os, "O_NOFOLLOW", 0)) | int(getattr(os, "O_CLOEXEC", 0))

_log = logging.getLogger(__name__)


class SharedMemoryError(Exception):
    """There is no such shared memory, or it is not to be used. Whoever meets it sends inline instead."""


def of_this_process(act: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """The same act, left undone in a process that was forked from this one: what is shared is not its own."""
    owner = os.getpid()

    def act_if_owner(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
        if os.getpid() == owner:
            act(*arguments, **named)

    return act_if_owner


def shared_folder() -> Path:
    """Where shared memory lies: in memory where the system has a place for that.

    The environment variable `EUCENTRIC_SHARED_MEMORY` names another folder, to all processes or to none.
    """
    chosen = os.environ.get("EUCENTRIC_SHARED_MEMORY")
    if chosen:
        return Path(chosen)
    in_memory = Path("/dev/shm")  # noqa: S108  (files there are created exclusively, with mode 0600)
    return in_memory if os.access(in_memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class SharedFile:
    """A mapped file. Its owner holds a lock on it: whoever can take the lock knows that the owner is gone.

    The memory stays mapped, and the lock held, as long as anything made from `map` exists.
    """

    def __init__(self, path: Path, descriptor: int, memory: mmap.mmap) -> None:
        self.path = path
        self.map = memory
        self._descriptor = descriptor

    @property
    def name(self) -> str:
        """What others open it by."""
        return self.path.name

    @classmethod
    def create(cls, kind: str, n_bytes: int) -> SharedFile:
        """Make one for this process, sparse; see `reserve`.

        Raises:
            SharedMemoryError: the system does not let us.
        """
        folder = shared_folder()
        try:
            for _ in range(_CREATIONS):
                path = folder / f"{_PREFIX}{kind}-{secrets.token_hex(16)}"
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINKS | _PLATFORM_FLAGS
                descriptor = os.open(path, flags, 0o600)
                try:
                    os.ftruncate(descriptor, n_bytes)
                    # Between the two lines above somebody may have swept it away as ownerless.
                    if _lock(descriptor, exclusive=True) and _is_linked(path, descriptor):
                        return cls(path, descriptor, mmap.mmap(descriptor, n_bytes))
                except BaseException:
                    os.close(descriptor)
                    path.unlink(missing_ok=True)
                    raise
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise SharedMemoryError(f"no shared memory in {folder}: {error}") from error
        raise SharedMemoryError(f"no shared memory in {folder}: others remove it")

    @classmethod
    def open(cls, name: str, kind: str, *, writable: bool = False) -> SharedFile:
        """Map one that another process of this user has made.

        Raises:
            SharedMemoryError: there is none of that name, or it is not this user's.
        """
        if not _NAME.fullmatch(name) or not name.startswith(f"{_PREFIX}{kind}-"):
            raise SharedMemoryError(f"{name[:60]!r} is no name of shared memory")
        path = shared_folder() / name
        try:
            flags = (os.O_RDWR if writable else os.O_RDONLY) | _NO_LINKS | _PLATFORM_FLAGS
            descriptor = os.open(path, flags)
            try:
                status = os.fstat(descriptor)
                if sys.platform != "win32" and status.st_uid != os.geteuid():
                    raise SharedMemoryError(f"{name} belongs to another user")
                access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
                return cls(path, descriptor, mmap.mmap(descriptor, status.st_size, access=access))
            except BaseException:
                os.close(descriptor)
                raise
        except (OSError, ValueError) as error:
            raise SharedMemoryError(f"{name} cannot be opened: {error}") from error

    def reserve(self, offset: int, n_bytes: int) -> None:
        """Have pages for a part of the file, so that writing to it cannot fail for want of memory.

        Raises:
            SharedMemoryError: there is no room.
        """
        try:
            if sys.platform == "linux":
                os.posix_fallocate(self._descriptor, offset, n_bytes)
            else:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                os.write(self._descriptor, bytes(n_bytes))
        except OSError as error:
            raise SharedMemoryError(f"no room for {n_bytes} bytes in {self.path.parent}: {error}") from error

    def owner_is_gone(self) -> bool:
        """Whether whoever made it has ended. Only for files that another process made."""
        if not _lock(self._descriptor, exclusive=False):
            return False
        _unlock(self._descriptor)
        return True

    def unlink(self) -> None:
        """Take its name away; who has it mapped keeps it."""
        if sys.platform != "win32":  # there it goes with its last handle
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)


def sweep_shared_files() -> None:
    """Remove what processes of this user have left behind that were killed."""
    if sys.platform == "win32":
        return
    for path in shared_folder().glob(f"{_PREFIX}*"):
        try:
            if not _NAME.fullmatch(path.name):
                continue
            descriptor = os.open(path, os.O_RDONLY | _NO_LINKS)
        except OSError:
            continue  # another user's, or gone meanwhile
        try:
            status = os.fstat(descriptor)
            is_young = time.time() - status.st_ctime < _YOUNG_S
            if status.st_uid == os.geteuid() and not is_young and _lock(descriptor, exclusive=False):
                path.unlink(missing_ok=True)
                _log.info("removed shared memory of a process that is gone: %s", path.name)
        except OSError as error:
            _log.warning("shared memory %s could not be removed: %s", path, error)
        finally:
            os.close(descriptor)


def _is_linked(path: Path, descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    # Beyond every file, because on Windows a locked byte cannot be read.
    _LOCKED_BYTE = 1 << 40

    def _lock(descriptor: int, *, exclusive: bool) -> bool:
        del exclusive
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, exclusive: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
