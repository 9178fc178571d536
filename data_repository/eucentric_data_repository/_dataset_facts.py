"""The facts of a data set in the catalogue's tables: added up from its shards', read for a search."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, insert, select, update

from ._facts import QuantityRange, ShardFacts, StreamFacts, merged
from ._tables import datasets, quantities, shards, streams

__all__ = ["add_facts", "stored_quantities", "stored_streams"]


def stored_streams(connection: Connection, dataset_id: str) -> tuple[StreamFacts, ...]:
    """The streams of a data set, in order of their names."""
    rows = connection.execute(
        select(streams).where(streams.c.dataset_id == dataset_id).order_by(streams.c.stream)
    )
    return tuple(
        StreamFacts(
            stream=row.stream,
            frames=row.frames,
            dtype=row.dtype,
            shape=tuple(json.loads(row.shape)),
            uniform=row.uniform,
        )
        for row in rows
    )


def stored_quantities(connection: Connection, dataset_id: str) -> tuple[QuantityRange, ...]:
    """The ranges of a data set's quantities."""
    rows = connection.execute(
        select(quantities).where(quantities.c.dataset_id == dataset_id).order_by(quantities.c.name)
    )
    return tuple(QuantityRange(name=row.name, minimum=row.minimum, maximum=row.maximum) for row in rows)


def add_facts(connection: Connection, idempotency_key: str, dataset_id: str, facts: ShardFacts) -> None:
    """Keep a shard's facts and add them to its data set's. Call it once for a shard."""
    connection.execute(
        update(shards)
        .where(shards.c.idempotency_key == idempotency_key)
        .values(facts=facts.model_dump_json())
    )
    times = connection.execute(
        select(datasets.c.first_acquired_utc, datasets.c.last_acquired_utc).where(
            datasets.c.dataset_id == dataset_id
        )
    ).one()
    total = facts
    if times.first_acquired_utc is not None:
        before = ShardFacts(
            first_acquired_utc=times.first_acquired_utc,
            last_acquired_utc=times.last_acquired_utc,
            streams=stored_streams(connection, dataset_id),
            quantities=stored_quantities(connection, dataset_id),
        )
        total = merged([before, facts])
    connection.execute(
        update(datasets)
        .where(datasets.c.dataset_id == dataset_id)
        .values(first_acquired_utc=total.first_acquired_utc, last_acquired_utc=total.last_acquired_utc)
    )
    for table in (streams, quantities):
        connection.execute(delete(table).where(table.c.dataset_id == dataset_id))
    for stream in total.streams:
        connection.execute(
            insert(streams).values(
                dataset_id=dataset_id,
                stream=stream.stream,
                frames=stream.frames,
                dtype=stream.dtype,
                shape=json.dumps(stream.shape),
                uniform=stream.uniform,
            )
        )
    for found in total.quantities:
        connection.execute(
            insert(quantities).values(
                dataset_id=dataset_id, name=found.name, minimum=found.minimum, maximum=found.maximum
            )
        )
