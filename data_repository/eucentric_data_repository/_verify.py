"""Checking everything again: is what the catalogue lists still what was registered?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from eucentric_core import DataFormatError, FrozenModel, sha256_file
from eucentric_transfer import ShardReader

from ._catalogue import Catalogue
from ._entries import ShardEntry
from ._root_marker import require_root

__all__ = ["Finding", "verify_shards"]

_State = Literal["intact", "missing", "changed", "unreadable", "pruned"]

_WHAT_TO_DO: dict[_State, str] = {
    "intact": "",
    "pruned": "a retention rule deleted it; its hash and provenance are kept.",
    "missing": "deliver it again from an archive or its source: what is delivered again is restored.",
    "changed": "put the file aside and deliver the shard again from an archive or its source.",
    "unreadable": "check the disk and the file's permissions, then deliver the shard again if need be.",
}


class Finding(FrozenModel):
    """What became of one registered shard, and what to do about it."""

    file_name: str
    dataset_id: str
    state: _State
    size_bytes: int
    next_step: str

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be done."""
        return self.state in ("intact", "pruned")


def _state(entry: ShardEntry) -> _State:
    if not entry.path.is_file():
        return "missing" if entry.state == "here" else "pruned"
    try:
        if sha256_file(entry.path) != entry.shard.sha256:
            return "changed"
        with ShardReader(entry.path):
            return "intact"
    except (OSError, DataFormatError):
        return "unreadable"


def verify_shards(catalogue: Catalogue, *, dataset_id: str | None = None) -> Iterator[Finding]:
    """Hash every registered shard again, or those of one data set.

    Raises:
        ServiceUnavailableError: the repository's root is away.
    """
    require_root(catalogue.root)
    for entry in catalogue.shards(dataset_id=dataset_id):
        state = _state(entry)
        if state in ("missing", "unreadable"):
            # The whole root may have gone meanwhile.
            require_root(catalogue.root)
        yield Finding(
            file_name=entry.shard.file_name,
            dataset_id=entry.dataset_id,
            state=state,
            size_bytes=entry.shard.size_bytes,
            next_step=_WHAT_TO_DO[state],
        )
