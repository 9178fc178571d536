"""Second copies of shards that are registered already: recognised by their content, and only then removed.

A sender that was not told of an arrival delivers again. Where the repository takes the first document away
just when the second takes its name, the second copy of the shard stays, and no document speaks of it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from eucentric_core import Receipt, fsync_directory, sha256_file

from ._folders import RepositoryFolders

__all__ = ["drop_spare", "drop_spares"]

_log = logging.getLogger(__name__)


def drop_spare(arrived: Path, registered: Path, sha256: str) -> bool:
    """Remove an arrived file, if it and the registered one both have this hash as they lie on the disk now.

    Returns:
        Whether it was removed.

    Raises:
        OSError: one of them cannot be read.
    """
    if arrived.is_symlink() or not arrived.is_file() or not registered.is_file():
        return False
    if sha256_file(arrived) != sha256 or sha256_file(registered) != sha256:
        return False
    arrived.unlink(missing_ok=True)
    fsync_directory(arrived.parent)
    _log.info("removed a second copy of %s, which is registered", registered.name)
    return True


def drop_spares(folders: RepositoryFolders) -> int:
    """Remove every arrived file that has no document and is a second copy of a receipted shard.

    Returns:
        How many were removed.

    Raises:
        OSError: the root cannot be read or written.
    """
    dropped = 0
    for arrived in sorted(folders.incoming.iterdir()):
        document = folders.incoming / f"{arrived.name}.json"
        if arrived.name.startswith(".") or arrived.suffix == ".json" or document.exists():
            continue
        receipt = _receipt(folders.receipts / document.name)
        if receipt is not None:
            registered = folders.shard(receipt.dataset_id, arrived.name)
            dropped += drop_spare(arrived, registered, receipt.sha256)
    return dropped


def _receipt(path: Path) -> Receipt | None:
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
