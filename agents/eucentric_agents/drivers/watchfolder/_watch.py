"""Which files of a folder are finished: unchanged for a while, and not locked by who writes them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from eucentric_core import DataFormatError

__all__ = ["Finished", "FolderWatch", "is_locked", "matches"]

_MAX_FILES = 100_000
_MAX_DEPTH = 8
_TEMPORARY = frozenset(
    {".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".lock", ".swp"}
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that has stopped changing, as it was when it was last looked at."""

    path: Path
    size_bytes: int
    mtime_ns: int
    inode: int

    def unchanged(self) -> bool:
        """Whether it is still the same."""
        try:
            return _look(self.path) == self
        except OSError:
            return False


class FolderWatch:
    """Looks at a folder and remembers since when each file has been as it is.

    A time stamp of the file itself proves nothing: copying programs set it back, and some reserve the whole
    size first. What counts is that two looks, `settle_s` apart or more, saw the same.

    Args:
        folder: the folder.
        wanted: whether a file of this name is to be picked up.
        recursive: whether to look into folders inside it.
        settle_s: how long a file must have been unchanged.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wanted: Callable[[Path], bool],
        recursive: bool,
        settle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._recursive = recursive
        self._settle_s = settle_s
        self._clock = clock
        self._seen: dict[Path, tuple[Finished, float]] = {}

    def finished(self) -> list[Finished]:
        """Look once; the finished files, those that were completed first in front.

        Raises:
            OSError: the folder cannot be read.
            DataFormatError: it holds too many files.
        """
        now_s = self._clock()
        seen: dict[Path, tuple[Finished, float]] = {}
        done: list[Finished] = []
        for path in self._files():
            try:
                file = _look(path)
            except OSError:
                # Renamed or removed since the folder was listed.
                continue
            before = self._seen.get(path)
            same = before is not None and before[0] == file
            since_s = before[1] if before is not None and same else now_s
            seen[path] = file, since_s
            if same and file.size_bytes and now_s - since_s >= self._settle_s:
                done.append(file)
        self._seen = seen
        return sorted(done, key=lambda file: (file.mtime_ns, str(file.path)))

    def _files(self) -> Iterator[Path]:
        for count, path in enumerate(_walk(self._folder, _MAX_DEPTH if self._recursive else 0)):
            if count >= _MAX_FILES:
                raise DataFormatError(
                    f"{self._folder} holds more than {_MAX_FILES} files.",
                    safe="nothing was taken from it.",
                    next_step="move what is no longer needed elsewhere, or watch a folder inside it.",
                )
            if not _is_temporary(path) and self._wanted(path):
                yield path


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    """Whether a name fits one of the patterns, whatever the case of its letters."""
    return any(fnmatchcase(path.name.lower(), pattern.lower()) for pattern in patterns)


def is_locked(path: Path) -> bool:
    """Whether another program holds the file for itself: it writes to it still.

    Windows lets nobody open such a file; elsewhere programs that care (the HDF5 library does) lock it.
    """
    try:
        with path.open("rb") as stream:
            return os.name != "nt" and _is_held(stream.fileno())
    except PermissionError:
        return True


def _is_held(descriptor: int) -> bool:
    import fcntl

    for lock in (fcntl.flock, fcntl.lockf):
        try:
            lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:
            # Not every network file system has locks.
            continue
        lock(descriptor, fcntl.LOCK_UN)
    return False


def _look(path: Path) -> Finished:
    status = path.stat()
    return Finished(path, status.st_size, status.st_mtime_ns, status.st_ino)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield Path(entry.path)
            elif depth and entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), depth - 1)


def _is_temporary(path: Path) -> bool:
    return path.name.startswith((".", "~")) or path.suffix.lower() in _TEMPORARY
