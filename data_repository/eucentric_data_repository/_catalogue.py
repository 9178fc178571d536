"""Reading the catalogue: which data sets and shards there are, and their frames."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from eucentric_core import (
    AnyEvent,
    DatasetManifest,
    Frame,
    FrozenModel,
    Identifier,
    Shard,
    UtcDatetime,
    parse_event,
)
from eucentric_transfer import ShardReader

from ._folders import RepositoryFolders
from ._schema import open_for_reading, reading

__all__ = ["Catalogue", "DatasetEntry", "ShardEntry"]

_DATASETS = """
SELECT datasets.*, COUNT(shards.idempotency_key) AS shards, COALESCE(SUM(shards.frames), 0) AS frames,
       COALESCE(SUM(shards.size_bytes), 0) AS size_bytes
FROM datasets LEFT JOIN shards USING (dataset_id)
GROUP BY dataset_id ORDER BY first_registered_utc, dataset_id
"""


class DatasetEntry(FrozenModel):
    """A data set in the catalogue. It is `complete` once its manifest and all shards it lists are here."""

    dataset_id: str
    instrument: Identifier
    session: Identifier
    sample: Identifier | None
    material: Identifier | None
    simulated: bool
    state: Literal["open", "complete"]
    shards: Annotated[int, Field(ge=0)]
    frames: Annotated[int, Field(ge=0)]
    size_bytes: Annotated[int, Field(ge=0)]
    missing: Annotated[int, Field(ge=0)]
    first_registered_utc: UtcDatetime
    completed_utc: UtcDatetime | None


class ShardEntry(FrozenModel):
    """A registered shard, where it lies, and its provenance.

    `recorded_with` is the software that wrote the file, `registered_with` that of this repository.
    """

    shard: Shard
    dataset_id: str
    path: Path
    registered_by: Identifier
    registered_utc: UtcDatetime
    registered_with: str
    recorded_with: str


def _dataset(row: sqlite3.Row) -> DatasetEntry:
    values = dict(row)
    text = values.pop("manifest")
    missing = len(DatasetManifest.model_validate_json(text).missing_sequences) if text else 0
    return DatasetEntry(**values, missing=missing)


class Catalogue:
    """Read access to a repository's catalogue. Any thread may use it.

    Args:
        path: `catalogue.sqlite` in the repository's root.

    Raises:
        ServiceUnavailableError: there is no catalogue, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folders = RepositoryFolders(path.parent)
        self._lock = threading.Lock()
        self._connection = open_for_reading(path)

    def _query(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        with self._lock, reading(self._path):
            return self._connection.execute(statement, values).fetchall()

    def datasets(self) -> list[DatasetEntry]:
        """All data sets, in the order of their first shard's arrival."""
        return [_dataset(row) for row in self._query(_DATASETS)]

    def shards(self, *, session: str | None = None, from_sequence: int | None = None) -> list[ShardEntry]:
        """Shards with an acquisition numbered `from_sequence` or higher (None: all), in ascending order."""
        rows = self._query(
            "SELECT shards.* FROM shards JOIN datasets USING (dataset_id) "
            "WHERE (:session IS NULL OR session = :session) AND last_sequence >= :first "
            "ORDER BY dataset_id, first_sequence",
            {"session": session, "first": from_sequence or 0},
        )
        return [self._shard(row) for row in rows]

    def _shard(self, row: sqlite3.Row) -> ShardEntry:
        shard = Shard.model_validate_json(row["document"])
        return ShardEntry(
            shard=shard,
            dataset_id=row["dataset_id"],
            path=self._folders.shard(row["dataset_id"], shard.file_name),
            registered_by=row["registered_by"],
            registered_utc=row["registered_utc"],
            registered_with=row["registered_with"],
            recorded_with=row["recorded_with"],
        )

    def count(self, *, session: str | None = None) -> int:
        """Number of registered acquisitions."""
        rows = self._query(
            "SELECT COALESCE(SUM(frames), 0) AS frames FROM shards JOIN datasets USING (dataset_id) "
            "WHERE :session IS NULL OR session = :session",
            {"session": session},
        )
        return int(rows[0]["frames"])

    def frames(
        self, session: str, stream: str, *, from_sequence: int | None = None, limit: int | None = None
    ) -> Iterator[Frame]:
        """Frames of one stream of a session, in ascending order of their sequence number.

        The hashes were checked at registration and are not checked again; `verify_shards` does that.

        Args:
            session: name of the session.
            stream: e.g. `haadf`.
            from_sequence: first sequence number wanted, None for all.
            limit: most frames to give, None for all.

        Raises:
            DataFormatError: a shard's file is missing or cannot be read.
        """
        given = 0
        for entry in self.shards(session=session, from_sequence=from_sequence):
            with ShardReader(entry.path) as reader:
                for frame in reader.frames(stream, from_sequence=from_sequence or 0):
                    if limit is not None and given >= limit:
                        return
                    yield frame
                    given += 1

    def events(self, *, after: int = 0, limit: int = 256) -> list[tuple[int, AnyEvent]]:
        """Events of the repository with their position, for a consumer that was away."""
        rows = self._query("SELECT id, document FROM events WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        return [(row["id"], parse_event(row["document"])) for row in rows]

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
