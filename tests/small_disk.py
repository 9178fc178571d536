"""A real file system that is small, and something that fills it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["MIB", "Filler", "small_disk"]

MIB = 1 << 20


@contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """A disk of its own at this place, in memory; skips the test where mounting is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class Filler:
    """A file that leaves only so much of a disk."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def leave(self, left_bytes: int) -> None:
        """Take everything but this."""
        with self._path.open("ab", buffering=0) as file:
            while (free := shutil.disk_usage(self._path.parent).free - left_bytes) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)
                except OSError:
                    return

    def go(self) -> None:
        """Give it back."""
        self._path.unlink(missing_ok=True)
