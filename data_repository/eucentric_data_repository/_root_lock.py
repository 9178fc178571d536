"""One service at a time looks into a root's incoming folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["root_lock"]

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def root_lock(root: Path) -> Iterator[bool]:
    """Whether this process may move what has arrived. The lock goes with the process, however it ends.

    Services that share a root take turns, and go on without one that is gone.

    Raises:
        OSError: the root cannot be written.
    """
    descriptor = os.open(root / ".service.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True
