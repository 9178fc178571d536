"""Where the repository keeps what."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from eucentric_core import ErrorReport, fsync_directory, write_atomic

__all__ = ["RepositoryFolders"]

_MAX_NAME_BYTES = 200


class RepositoryFolders:
    """The folders under a repository's root. Names come from checked models only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.shards = root / "shards"
        self.receipts = root / "receipts"
        self.quarantine = root / "quarantine"
        self.database = root / "catalogue.sqlite"
        self.marker = root / "repository.json"

    def make(self) -> None:
        """Make what is missing."""
        for folder in (self.incoming, self.shards, self.receipts, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)

    def shard(self, dataset_id: str, file_name: str) -> Path:
        """Where a registered shard lies."""
        return self.shards / dataset_id / file_name

    def set_aside(self, path: Path, reason: ErrorReport) -> Path:
        """Move a file to the quarantine, beside a file that says why.

        Returns:
            Where it lies now. An earlier file of the same name is kept, this one gets a number.
        """
        # Room for the suffixes: one hostile name must not hold up everything else.
        name = path.name
        if len(os.fsencode(name)) > _MAX_NAME_BYTES:
            name = f"{sha256(os.fsencode(name)).hexdigest()[:32]}.long-name"
        target = self.quarantine / name
        number = 1
        while target.exists() or target.is_symlink():
            target = self.quarantine / f"{name}.{number}"
            number += 1
        write_atomic(
            target.with_name(f"{target.name}.reason.json"), reason.model_dump_json(indent=2).encode()
        )
        path.replace(target)
        fsync_directory(self.quarantine)
        return target
