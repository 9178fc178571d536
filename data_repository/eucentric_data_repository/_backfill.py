"""Reading the facts of shards that an earlier version registered without them."""

from __future__ import annotations

from pydantic import ValidationError

from eucentric_core import DataFormatError, Receipt, Shard
from eucentric_transfer import ShardReader

from ._facts import ShardFacts, facts_of
from ._folders import RepositoryFolders
from ._registrar import Registrar

__all__ = ["read_missing_facts"]


def read_missing_facts(folders: RepositoryFolders, registrar: Registrar) -> int:
    """Add the facts, and the receipts given, of some of those shards.

    Returns:
        How many were looked at; 0 when there is nothing left to do.
    """
    shards = registrar.without_facts()
    for shard in shards:
        if _is_receipted(folders, shard):
            registrar.note_receipt(shard)
        registrar.add_facts(shard, _facts(folders, shard))
    return len(shards)


def _is_receipted(folders: RepositoryFolders, shard: Shard) -> bool:
    try:
        text = (folders.receipts / f"{shard.file_name}.json").read_bytes()
        return Receipt.model_validate_json(text).idempotency_key == shard.idempotency_key
    except (OSError, ValidationError):
        return False


def _facts(folders: RepositoryFolders, shard: Shard) -> ShardFacts | None:
    try:
        with ShardReader(folders.shard(shard.dataset_id, shard.file_name)) as reader:
            return facts_of(reader)
    except DataFormatError:
        return None
