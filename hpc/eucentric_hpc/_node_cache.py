"""Training data by content: copied once to the node's own disk, verified whenever they are taken.

A shared file system is slow for many readers and far for some; a node's own disk is neither, but it is small
and others write to it. So: a bounded folder of files named by their SHA-256, those used longest ago go first,
and no file is handed out whose content is not what its name says.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eucentric_core import IntegrityError, require_free_space, sha256_file

__all__ = ["CACHE_BYTES_VARIABLE", "CACHE_VARIABLE", "NodeCache", "staged"]

CACHE_VARIABLE = "EUCENTRIC_NODE_CACHE"
"""Environment variable: the cache's folder on this node. Without it data are read where they lie."""

CACHE_BYTES_VARIABLE = "EUCENTRIC_NODE_CACHE_BYTES"
"""Environment variable: how large the cache may become."""

_DEFAULT_BYTES = str(20 << 30)
_BLOCK_BYTES = 1 << 20
_STALE_PART_S = 86_400.0


def staged(path: Path, sha256: str) -> Path:
    """A file with this content that is near: the node's copy where it has a cache, else `path` itself.

    Raises:
        IntegrityError: `path` does not hold what it should.
        OutOfSpaceError: the node's disk is full.
    """
    folder = os.environ.get(CACHE_VARIABLE)
    if not folder:
        return path
    max_bytes = int(os.environ.get(CACHE_BYTES_VARIABLE, _DEFAULT_BYTES))
    return NodeCache(Path(folder), max_bytes).take(path, sha256)


@dataclass(frozen=True, slots=True)
class NodeCache:
    """A bounded folder of verified copies. Any number of processes of a node may share it.

    Attributes:
        folder: on the node's own disk; made if need be.
        max_bytes: beyond this, copies used longest ago are removed. One larger file is not kept.
    """

    folder: Path
    max_bytes: int

    def take(self, source: Path, sha256: str) -> Path:
        """The copy of a file, made if need be. It stays until it is the one used longest ago.

        Args:
            source: where the file lies.
            sha256: of its content, 64 hexadecimal digits.

        Raises:
            IntegrityError: the source does not hold what it should; nothing was kept.
            OutOfSpaceError: the node's disk is full.
        """
        size = source.stat().st_size
        if size > self.max_bytes:
            return source
        self.folder.mkdir(parents=True, exist_ok=True)
        copy = self.folder / sha256
        with self._turn(sha256):
            if not copy.exists() or sha256_file(copy) != sha256:
                require_free_space(self.folder, size)
                self._copy(source, copy, sha256)
            os.utime(copy)
        self._evict(keep=copy)
        return copy

    @contextmanager
    def _turn(self, sha256: str) -> Iterator[None]:
        # Two workers that start together copy once. The lock goes with the process that holds it.
        import fcntl

        with (self.folder / f".{sha256[:2]}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _copy(self, source: Path, copy: Path, sha256: str) -> None:
        part = self.folder / f".{sha256}.{secrets.token_hex(4)}.part"
        digest = hashlib.sha256()
        try:
            with source.open("rb") as read, part.open("wb") as written:
                while block := read.read(_BLOCK_BYTES):
                    digest.update(block)
                    written.write(block)
            if digest.hexdigest() != sha256:
                raise IntegrityError(
                    f"{source.name} holds {digest.hexdigest()[:12]}… where {sha256[:12]}… was expected.",
                    safe="nothing of it is kept on this node, and nothing was trained on it.",
                    next_step="let the data be assembled again; look at the file system they lie on.",
                    path=str(source),
                )
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)

    def _evict(self, keep: Path) -> None:
        held, stale_s = [], time.time() - _STALE_PART_S
        for path in self.folder.iterdir():
            try:
                facts = path.stat()
            except FileNotFoundError:
                # Another worker of this node removes, too.
                continue
            if not path.name.startswith("."):
                held.append((facts.st_mtime, facts.st_size, path))
            elif path.suffix == ".part" and facts.st_mtime < stale_s:
                path.unlink(missing_ok=True)
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self.max_bytes:
                break
            if path != keep:
                # Whoever has it open keeps reading it.
                path.unlink(missing_ok=True)
                total -= size
