"""Checking everything again: is what the catalogue lists still what was registered?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from eucentric_core import DataFormatError, FrozenModel, sha256_file
from eucentric_transfer import ShardReader

from ._catalogue import Catalogue
from ._entries import ShardEntry

__all__ = ["Finding", "verify_shards"]


class Finding(FrozenModel):
    """What became of one registered shard."""

    file_name: str
    dataset_id: str
    state: Literal["intact", "missing", "changed", "unreadable"]


def _state(entry: ShardEntry) -> Literal["intact", "missing", "changed", "unreadable"]:
    if not entry.path.is_file():
        return "missing"
    try:
        if sha256_file(entry.path) != entry.shard.sha256:
            return "changed"
        with ShardReader(entry.path):
            return "intact"
    except (OSError, DataFormatError):
        return "unreadable"


def verify_shards(catalogue: Catalogue) -> Iterator[Finding]:
    """Hash every registered shard again."""
    for entry in catalogue.shards():
        yield Finding(file_name=entry.shard.file_name, dataset_id=entry.dataset_id, state=_state(entry))
