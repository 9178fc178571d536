"""Writing the catalogue: a shard or a data set is registered once, with its events, or not at all."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, func, insert, select, update

from eucentric_core import (
    AnyEvent,
    DatasetManifest,
    DatasetRegistered,
    Identifier,
    IntegrityError,
    Shard,
    ShardRegistered,
    parse_event,
    utc_now,
)

from ._database import Database
from ._dataset_facts import add_facts
from ._facts import ShardFacts
from ._tables import datasets, events, shards
from ._writer import CatalogueWriter

__all__ = ["Registrar"]

_UNREADABLE = ""
"""Stands where a shard's facts would, when its file could not be read for them."""


class Registrar(CatalogueWriter):
    """Enters shards and data sets. Several services may do so at once; each shard counts once.

    Args:
        database: a database, or the SQLite file in a repository's root; made if missing.
        registered_by: name of this repository, for provenance.

    Raises:
        ConfigurationError: a newer version has written this catalogue.
        ServiceUnavailableError, OutOfSpaceError: the database cannot be opened.
    """

    def __init__(self, database: Database | Path, *, registered_by: Identifier) -> None:
        super().__init__(database)
        self._registered_by = registered_by
        self._software = f"eucentric {version('eucentric')}"

    def is_registered(self, shard: Shard) -> bool:
        """Whether this very shard is in the catalogue."""
        with self._transaction() as connection:
            return _state(connection, shard) is not None

    def register_shard(
        self, shard: Shard, *, recorded_with: str, facts: ShardFacts | None = None
    ) -> list[AnyEvent]:
        """Enter a verified shard. Entering it again does nothing, unless it had been pruned: then it is back.

        Args:
            shard: what was received.
            recorded_with: software that wrote the file.
            facts: what a search wants to know; None to have it read later.

        Returns:
            The events this caused, already in the outbox.

        Raises:
            IntegrityError: its acquisitions are in the catalogue under another content, or its data set
                has the name of another one.
        """
        with self._transaction() as connection:
            known = _state(connection, shard)
            if known is not None:
                if known != "here":
                    _bring_back(connection, shard)
                return []
            _require_no_overlap(connection, shard)
            self._ensure_dataset(connection, shard.dataset_id, shard, simulated=shard.simulated)
            connection.execute(
                insert(shards).values(
                    idempotency_key=shard.idempotency_key,
                    dataset_id=shard.dataset_id,
                    first_sequence=shard.first_sequence,
                    last_sequence=shard.last_sequence,
                    frames=shard.frames,
                    size_bytes=shard.size_bytes,
                    document=shard.model_dump_json(),
                    registered_by=self._registered_by,
                    registered_utc=utc_now(),
                    registered_with=self._software,
                    recorded_with=recorded_with,
                )
            )
            if facts is not None:
                add_facts(connection, shard.idempotency_key, shard.dataset_id, facts)
            event = ShardRegistered(
                source=self._registered_by,
                dataset_id=shard.dataset_id,
                idempotency_key=shard.idempotency_key,
                frames=shard.frames,
                size_bytes=shard.size_bytes,
                material=shard.material,
                sample=shard.sample,
                instrument=shard.instrument,
            )
            caused = [event, *self._complete(connection, shard.dataset_id)]
            _put_into_outbox(connection, caused)
        return caused

    def register_dataset(self, manifest: DatasetManifest) -> list[AnyEvent]:
        """Enter the manifest of a finished recording. Entering it again does nothing.

        Raises:
            IntegrityError: another manifest is known for this data set.
        """
        first = manifest.shards[0] if manifest.shards else manifest
        simulated = any(shard.simulated for shard in manifest.shards)
        with self._transaction() as connection:
            self._ensure_dataset(connection, manifest.dataset_id, first, simulated=simulated)
            known = connection.execute(
                select(datasets.c.manifest).where(datasets.c.dataset_id == manifest.dataset_id)
            ).scalar_one()
            if known is not None:
                # Not as text: an earlier version may have written it with fewer fields.
                if DatasetManifest.model_validate_json(known) == manifest:
                    return []
                raise IntegrityError(
                    f"Another manifest of data set {manifest.dataset_id} is in the catalogue.",
                    safe="the catalogue is unchanged.",
                    next_step="check whether two agents use the same name.",
                )
            connection.execute(
                update(datasets)
                .where(datasets.c.dataset_id == manifest.dataset_id)
                .values(manifest=manifest.model_dump_json(), missing=len(manifest.missing_sequences))
            )
            caused = self._complete(connection, manifest.dataset_id)
            _put_into_outbox(connection, caused)
        return caused

    def note_receipt(self, shard: Shard) -> None:
        """Remember that the sender has been told; before, nothing of the shard may ever be deleted."""
        key = shard.idempotency_key
        with self._transaction() as connection:
            connection.execute(
                update(shards).where(shards.c.idempotency_key == key).values(receipted_utc=utc_now())
            )

    def without_facts(self, *, limit: int = 16) -> list[Shard]:
        """Shards that an earlier version registered without the facts a search wants."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(shards.c.document)
                .where(shards.c.facts.is_(None))
                .order_by(shards.c.dataset_id, shards.c.first_sequence)
                .limit(limit)
            ).scalars()
            return [Shard.model_validate_json(document) for document in rows]

    def add_facts(self, shard: Shard, facts: ShardFacts | None) -> None:
        """Enter what a shard's file says; None if it cannot be read. Only the first time counts."""
        with self._transaction() as connection:
            held = select(shards.c.facts).where(shards.c.idempotency_key == shard.idempotency_key)
            if connection.execute(held).scalar() is not None:
                return
            if facts is not None:
                add_facts(connection, shard.idempotency_key, shard.dataset_id, facts)
                return
            connection.execute(
                update(shards)
                .where(shards.c.idempotency_key == shard.idempotency_key)
                .values(facts=_UNREADABLE)
            )

    def unpublished(self, *, limit: int = 64) -> list[tuple[int, AnyEvent]]:
        """Events that were not yet handed to the data channel, oldest first."""
        due = (
            select(events.c.id, events.c.document)
            .where(events.c.published == 0)
            .order_by(events.c.id)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [(row.id, parse_event(row.document)) for row in connection.execute(due)]

    def mark_published(self, position: int) -> None:
        """Remember that an event was handed over. Consumers drop a repeated event by its id."""
        with self._transaction() as connection:
            connection.execute(update(events).where(events.c.id == position).values(published=1))

    @staticmethod
    def _ensure_dataset(
        connection: Connection, dataset_id: str, origin: Shard | DatasetManifest, *, simulated: bool
    ) -> None:
        known = connection.execute(
            select(datasets.c.instrument, datasets.c.session).where(datasets.c.dataset_id == dataset_id)
        ).first()
        if known is None:
            connection.execute(
                insert(datasets).values(
                    dataset_id=dataset_id,
                    instrument=origin.instrument,
                    session=origin.session,
                    sample=origin.sample if isinstance(origin, Shard) else None,
                    material=origin.material if isinstance(origin, Shard) else None,
                    simulated=simulated,
                    state="open",
                    first_registered_utc=utc_now(),
                )
            )
        elif (known.instrument, known.session) != (origin.instrument, origin.session):
            raise IntegrityError(
                f"The name {dataset_id} belongs to session {known.session} of {known.instrument}.",
                safe="the catalogue is unchanged.",
                next_step="give instrument or session another name.",
            )

    def _complete(self, connection: Connection, dataset_id: str) -> list[AnyEvent]:
        """`dataset.registered`, if with this step the manifest and every shard it lists are here."""
        row = connection.execute(
            select(datasets.c.state, datasets.c.manifest, datasets.c.material, datasets.c.sample).where(
                datasets.c.dataset_id == dataset_id
            )
        ).one()
        if row.state == "complete" or row.manifest is None:
            return []
        manifest = DatasetManifest.model_validate_json(row.manifest)
        here = set(
            connection.execute(
                select(shards.c.idempotency_key).where(shards.c.dataset_id == dataset_id)
            ).scalars()
        )
        if not here.issuperset(shard.idempotency_key for shard in manifest.shards):
            return []
        connection.execute(
            update(datasets)
            .where(datasets.c.dataset_id == dataset_id)
            .values(state="complete", completed_utc=utc_now())
        )
        return [
            DatasetRegistered(
                source=self._registered_by,
                dataset_id=dataset_id,
                frames=manifest.frames,
                missing=len(manifest.missing_sequences),
                material=row.material,
                sample=row.sample,
                instrument=manifest.instrument,
            )
        ]


def _state(connection: Connection, shard: Shard) -> str | None:
    key = shard.idempotency_key
    return connection.execute(select(shards.c.state).where(shards.c.idempotency_key == key)).scalar()


def _bring_back(connection: Connection, shard: Shard) -> None:
    connection.execute(
        update(shards)
        .where(shards.c.idempotency_key == shard.idempotency_key)
        .values(state="here", pruned_utc=None, pruned_why=None)
    )


def _require_no_overlap(connection: Connection, shard: Shard) -> None:
    other = connection.execute(
        select(func.min(shards.c.idempotency_key)).where(
            shards.c.dataset_id == shard.dataset_id,
            shards.c.first_sequence <= shard.last_sequence,
            shards.c.last_sequence >= shard.first_sequence,
        )
    ).scalar()
    if other is not None:
        raise IntegrityError(
            f"Acquisitions {shard.first_sequence} to {shard.last_sequence} of {shard.dataset_id} are "
            f"registered with another content.",
            safe="the catalogue is unchanged, no frame is doubled.",
            next_step="compare the two files.",
            registered=other,
        )


def _put_into_outbox(connection: Connection, caused: list[AnyEvent]) -> None:
    if caused:
        connection.execute(insert(events), [{"document": event.model_dump_json()} for event in caused])
