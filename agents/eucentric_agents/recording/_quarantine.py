"""The one place where anything is set aside: the bytes, and beside them the reason as readable JSON."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from pathlib import Path
from typing import Any

from eucentric_core import OutOfSpaceError, utc_now, write_atomic

from ._errors import disk_errors
from ._steps import reached

__all__ = ["Quarantine"]

_log = logging.getLogger(__name__)


class Quarantine:
    """A folder that only grows: nothing that was recorded is deleted on a suspicion.

    Args:
        folder: exists.
        max_bytes: with more in it, no further frame is taken; recording pauses until a person has looked.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        for unfinished in folder.glob(".*.part"):
            # Nobody else writes here, and what it was to become was not acknowledged.
            unfinished.unlink()
        self._size_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())

    @property
    def size_bytes(self) -> int:
        """What is in it."""
        return self._size_bytes

    def keep_frame(self, header: bytes, payload: bytes | memoryview, reason: dict[str, Any]) -> str:
        """Store a frame as it came, durably; again does nothing. Returns the name of its bytes.

        Raises:
            OutOfSpaceError: the quarantine is full, or the disk is.
            JournalError: the disk failed.
        """
        name = f"frame-{hashlib.sha256(header).hexdigest()[:16]}-{zlib.crc32(payload):08x}"
        if not (self._folder / f"{name}.reason.json").exists():
            if self._size_bytes + len(payload) + len(header) > self._max_bytes:
                raise OutOfSpaceError(
                    f"The quarantine holds {self._size_bytes >> 20} MiB and takes no more.",
                    safe="nothing in it is deleted, and the frame is not acknowledged.",
                    next_step=f"look at the reasons in {self._folder}, move the files elsewhere, or raise "
                    "agent.max_quarantine_bytes.",
                )
            self.keep(name, payload, {**reason, "header": header.decode("utf-8", "replace")})
        reached("quarantine.written")
        return f"{name}.bin"

    def keep(self, name: str, content: bytes | memoryview, reason: dict[str, Any]) -> None:
        """Store bytes with their reason, whatever the size of the quarantine."""
        path = self._folder / f"{name}.bin"
        with disk_errors("writing to the quarantine"):
            # There already, where the disk had no room for the reason the last time.
            held_bytes = path.stat().st_size if path.exists() else 0
            write_atomic(path, bytes(content))
        self._size_bytes += len(content) - held_bytes
        self._explain(name, f"{name}.bin", len(content), reason)

    def take(self, path: Path, why: str) -> None:
        """Move a file here."""
        size_bytes = path.stat().st_size
        with disk_errors("moving a file to the quarantine"):
            path.replace(self._folder / path.name)
        self._size_bytes += size_bytes
        self._explain(path.name, path.name, size_bytes, {"what": why})

    def _explain(self, name: str, file: str, size_bytes: int, reason: dict[str, Any]) -> None:
        _log.error("%s is in the quarantine: %s", file, reason.get("what"))
        facts = {"file": file, "size_bytes": size_bytes, "quarantined_utc": utc_now().isoformat(), **reason}
        text = json.dumps(facts, indent=2, ensure_ascii=False).encode()
        with disk_errors("writing to the quarantine"):
            write_atomic(self._folder / f"{name}.reason.json", text)
        self._size_bytes += len(text)
