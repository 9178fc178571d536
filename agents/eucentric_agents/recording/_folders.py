"""Where a journal keeps what. Names come from numbers and hashes, never from outside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ._errors import disk_errors

__all__ = ["Folders", "SegmentName"]

_SEGMENT = re.compile(r"(\d+)-(\d+)\.(\d+)")


class SegmentName(NamedTuple):
    """A session's shard `number` while it is open; each time it is built anew, its generation rises."""

    session_id: int
    number: int
    generation: int

    def __str__(self) -> str:
        return f"{self.session_id}-{self.number:06d}.{self.generation}"

    @classmethod
    def of(cls, path: Path) -> SegmentName | None:
        """What a file's name says, None if it is no segment's."""
        found = _SEGMENT.fullmatch(path.stem)
        return cls(*map(int, found.groups())) if found else None


class Folders:
    """The folders of a journal, made if missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "journal.sqlite"
        self.shards = root / "shards"
        self.open = root / "open"
        self.quarantine = root / "quarantine"
        self.spool = root / "spool"
        """Where version 0.1 kept what was not sealed; only ever read."""
        with disk_errors("making the recording folder"):
            for wanted in (self.shards, self.open, self.quarantine):
                wanted.mkdir(parents=True, exist_ok=True)

    def journal(self, name: SegmentName) -> Path:
        """The journal of a segment. Where it is, the segment counts."""
        return self.open / f"{name}.journal"

    def shard(self, name: SegmentName) -> Path:
        """The open shard of a segment."""
        return self.open / f"{name}.h5"
