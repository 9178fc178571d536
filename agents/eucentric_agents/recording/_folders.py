"""Where a journal keeps what, and the one way anything is set aside."""

from __future__ import annotations

import logging
from pathlib import Path

from ._errors import disk_errors

__all__ = ["Folders"]

_log = logging.getLogger(__name__)


class Folders:
    """The folders of a journal, made if missing. Names in the spool come from numbers, not from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "journal.sqlite"
        self.shards = root / "shards"
        self.spool = root / "spool"
        self.quarantine = root / "quarantine"
        self.building = self.shards / ".building.h5"
        with disk_errors("making the recording folder"):
            for wanted in (self.shards, self.spool, self.quarantine):
                wanted.mkdir(parents=True, exist_ok=True)

    def segment(self, session_id: int, index: int) -> Path:
        """The spool segment of a session's shard `index`."""
        return self.spool / f"{session_id}-{index:06d}.spool"

    def set_aside(self, path: Path, why: str) -> None:
        """Move a file to the quarantine: nothing that was recorded is deleted on a suspicion."""
        path.replace(self.quarantine / path.name)
        _log.error("%s moved to quarantine: %s", path.name, why)
