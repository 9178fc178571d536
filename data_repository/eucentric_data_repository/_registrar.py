"""Writing the catalogue: a shard or a data set is registered once, with its events, or not at all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from eucentric_core import (
    AnyEvent,
    DatasetManifest,
    DatasetRegistered,
    EucentricError,
    Identifier,
    IntegrityError,
    OutOfSpaceError,
    ServiceUnavailableError,
    Shard,
    ShardRegistered,
    parse_event,
    transaction,
    utc_now,
)

from ._folders import dataset_id_of
from ._schema import open_for_writing

__all__ = ["Registrar"]


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        kind: type[EucentricError] = OutOfSpaceError if full else ServiceUnavailableError
        raise kind(
            f"The catalogue cannot be written: {error}.",
            safe="nothing was registered by halves; what came in stays in the incoming folder.",
            next_step="free space or check the disk; it is tried again.",
        ) from error


class Registrar:
    """The only writer of a catalogue.

    Args:
        path: `catalogue.sqlite`, made if missing.
        registered_by: name of this repository, for provenance.

    Raises:
        ServiceUnavailableError, OutOfSpaceError: the database cannot be opened.
    """

    def __init__(self, path: Path, *, registered_by: Identifier) -> None:
        self._registered_by = registered_by
        self._software = f"eucentric {version('eucentric')}"
        self._lock = threading.Lock()
        with _typed():
            self._connection = open_for_writing(path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _typed(), transaction(self._connection) as connection:
            yield connection

    def is_registered(self, shard: Shard) -> bool:
        """Whether this very shard is in the catalogue."""
        with self._lock, _typed():
            found = self._connection.execute(
                "SELECT 1 FROM shards WHERE idempotency_key = ?", (shard.idempotency_key,)
            ).fetchone()
        return found is not None

    def register_shard(self, shard: Shard, *, recorded_with: str) -> list[AnyEvent]:
        """Enter a verified shard. Entering it again does nothing.

        Returns:
            The events this caused, already in the outbox.

        Raises:
            IntegrityError: its acquisitions are in the catalogue under another content, or its data set
                has the name of another one.
        """
        dataset_id = dataset_id_of(shard)
        with self._transaction() as connection:
            known = connection.execute(
                "SELECT 1 FROM shards WHERE idempotency_key = ?", (shard.idempotency_key,)
            ).fetchone()
            if known is not None:
                return []
            self._require_no_overlap(connection, shard, dataset_id)
            self._ensure_dataset(
                connection,
                dataset_id,
                (shard.instrument, shard.session),
                sample=shard.sample,
                material=shard.material,
                simulated=shard.simulated,
            )
            connection.execute(
                "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    shard.idempotency_key,
                    dataset_id,
                    shard.first_sequence,
                    shard.last_sequence,
                    shard.frames,
                    shard.size_bytes,
                    shard.model_dump_json(),
                    self._registered_by,
                    utc_now().isoformat(),
                    self._software,
                    recorded_with,
                ),
            )
            event = ShardRegistered(
                source=self._registered_by,
                dataset_id=dataset_id,
                idempotency_key=shard.idempotency_key,
                frames=shard.frames,
                material=shard.material,
            )
            events = [event, *self._complete(connection, dataset_id)]
            self._put_into_outbox(connection, events)
        return events

    def register_dataset(self, manifest: DatasetManifest) -> list[AnyEvent]:
        """Enter the manifest of a finished recording. Entering it again does nothing.

        Raises:
            IntegrityError: another manifest is known for this data set.
        """
        first = manifest.shards[0] if manifest.shards else None
        with self._transaction() as connection:
            self._ensure_dataset(
                connection,
                manifest.dataset_id,
                (manifest.instrument, manifest.session),
                sample=first.sample if first else None,
                material=first.material if first else None,
                simulated=any(shard.simulated for shard in manifest.shards),
            )
            document = manifest.model_dump_json()
            (known,) = connection.execute(
                "SELECT manifest FROM datasets WHERE dataset_id = ?", (manifest.dataset_id,)
            ).fetchone()
            if known == document:
                return []
            if known is not None:
                raise IntegrityError(
                    f"Another manifest of data set {manifest.dataset_id} is in the catalogue.",
                    safe="the catalogue is unchanged.",
                    next_step="check whether two agents use the same name.",
                )
            connection.execute(
                "UPDATE datasets SET manifest = ? WHERE dataset_id = ?", (document, manifest.dataset_id)
            )
            events = self._complete(connection, manifest.dataset_id)
            self._put_into_outbox(connection, events)
        return events

    def unpublished(self, *, limit: int = 64) -> list[tuple[int, AnyEvent]]:
        """Events that were not yet handed to the data channel, oldest first."""
        with self._lock, _typed():
            rows = self._connection.execute(
                "SELECT id, document FROM events WHERE published = 0 ORDER BY id LIMIT ?", (limit,)
            ).fetchall()
        return [(row["id"], parse_event(row["document"])) for row in rows]

    def mark_published(self, position: int) -> None:
        """Remember that an event was handed over. Consumers drop a repeated event by its id."""
        with self._transaction() as connection:
            connection.execute("UPDATE events SET published = 1 WHERE id = ?", (position,))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @staticmethod
    def _require_no_overlap(connection: sqlite3.Connection, shard: Shard, dataset_id: str) -> None:
        other = connection.execute(
            "SELECT idempotency_key FROM shards "
            "WHERE dataset_id = ? AND first_sequence <= ? AND last_sequence >= ?",
            (dataset_id, shard.last_sequence, shard.first_sequence),
        ).fetchone()
        if other is not None:
            raise IntegrityError(
                f"Acquisitions {shard.first_sequence} to {shard.last_sequence} of {dataset_id} are "
                f"registered with another content.",
                safe="the catalogue is unchanged, no frame is doubled.",
                next_step="compare the two files.",
                registered=other["idempotency_key"],
            )

    @staticmethod
    def _ensure_dataset(
        connection: sqlite3.Connection,
        dataset_id: str,
        origin: tuple[str, str],
        *,
        sample: str | None,
        material: str | None,
        simulated: bool,
    ) -> None:
        row = connection.execute(
            "SELECT instrument, session FROM datasets WHERE dataset_id = ?", (dataset_id,)
        ).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO datasets (dataset_id, instrument, session, sample, material, simulated, state, "
                "first_registered_utc) VALUES (?, ?, ?, ?, ?, ?, 'open', ?)",
                (dataset_id, *origin, sample, material, simulated, utc_now().isoformat()),
            )
        elif tuple(row) != origin:
            raise IntegrityError(
                f"The name {dataset_id} belongs to session {row['session']} of {row['instrument']}.",
                safe="the catalogue is unchanged.",
                next_step="give instrument or session another name.",
            )

    def _complete(self, connection: sqlite3.Connection, dataset_id: str) -> list[AnyEvent]:
        """`dataset.registered`, if with this step the manifest and every shard it lists are here."""
        row = connection.execute("SELECT * FROM datasets WHERE dataset_id = ?", (dataset_id,)).fetchone()
        if row["state"] == "complete" or row["manifest"] is None:
            return []
        manifest = DatasetManifest.model_validate_json(row["manifest"])
        here = {
            key
            for (key,) in connection.execute(
                "SELECT idempotency_key FROM shards WHERE dataset_id = ?", (dataset_id,)
            )
        }
        if not here.issuperset(shard.idempotency_key for shard in manifest.shards):
            return []
        connection.execute(
            "UPDATE datasets SET state = 'complete', completed_utc = ? WHERE dataset_id = ?",
            (utc_now().isoformat(), dataset_id),
        )
        return [
            DatasetRegistered(
                source=self._registered_by,
                dataset_id=dataset_id,
                frames=manifest.frames,
                missing=len(manifest.missing_sequences),
                material=row["material"],
            )
        ]

    @staticmethod
    def _put_into_outbox(connection: sqlite3.Connection, events: list[AnyEvent]) -> None:
        connection.executemany(
            "INSERT INTO events (document) VALUES (?)", [(event.model_dump_json(),) for event in events]
        )
