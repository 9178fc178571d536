"""What the catalogue answers with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from eucentric_core import FrozenModel, Identifier, Shard, UtcDatetime

from ._facts import QuantityRange, StreamFacts

__all__ = [
    "Annotation",
    "DatasetDetails",
    "DatasetEntry",
    "Hold",
    "Note",
    "SearchResult",
    "ShardEntry",
    "ShardState",
]

_Count = Annotated[int, Field(ge=0)]

ShardState = Literal["here", "pruning", "pruned"]
"""Whether a shard's file is kept, about to be deleted, or deleted by a retention rule."""


class DatasetEntry(FrozenModel):
    """A data set in the catalogue. It is `complete` once its manifest and all shards it lists are here.

    `pruned` of its `shards` were deleted by a retention rule; their hashes and provenance are kept.
    """

    dataset_id: str
    instrument: Identifier
    session: Identifier
    sample: Identifier | None
    material: Identifier | None
    simulated: bool
    state: Literal["open", "complete"]
    shards: _Count
    pruned: _Count = 0
    frames: _Count
    size_bytes: _Count
    missing: _Count
    first_registered_utc: UtcDatetime
    completed_utc: UtcDatetime | None
    first_acquired_utc: UtcDatetime | None = None
    last_acquired_utc: UtcDatetime | None = None
    operator: str | None = None
    tags: tuple[str, ...] = ()


class SearchResult(FrozenModel):
    """One page of what was found, and how many data sets were found in all."""

    total: _Count
    offset: _Count
    datasets: tuple[DatasetEntry, ...]


class Note(FrozenModel):
    """What somebody wrote about a data set."""

    text: str
    by: str
    at_utc: UtcDatetime


class Annotation(FrozenModel):
    """A site's own metadata of a data set, and the hash of the schema they were checked against."""

    document: dict[str, JsonValue]
    schema_sha256: str | None
    by: str
    at_utc: UtcDatetime


class Hold(FrozenModel):
    """A person's word that a data set must not be deleted."""

    why: str
    by: str
    at_utc: UtcDatetime


class DatasetDetails(FrozenModel):
    """Everything the catalogue knows about one data set but its shards."""

    entry: DatasetEntry
    streams: tuple[StreamFacts, ...]
    quantities: tuple[QuantityRange, ...]
    software: tuple[str, ...]
    notes: tuple[Note, ...]
    annotation: Annotation | None
    hold: Hold | None


class ShardEntry(FrozenModel):
    """A registered shard, where it lies, and its provenance.

    `recorded_with` is the software that wrote the file, `registered_with` that of this repository. A shard
    that was pruned has no file at `path` any more.
    """

    shard: Shard
    dataset_id: str
    path: Path
    registered_by: Identifier
    registered_utc: UtcDatetime
    registered_with: str
    recorded_with: str
    state: ShardState = "here"
    receipted_utc: UtcDatetime | None = None
    pruned_utc: UtcDatetime | None = None
    pruned_why: str | None = None
