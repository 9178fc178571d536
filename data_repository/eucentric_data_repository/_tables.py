"""The catalogue's tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

__all__ = [
    "UtcTime",
    "copies",
    "datasets",
    "events",
    "holds",
    "lineage_edges",
    "lineage_nodes",
    "metadata",
    "notes",
    "quantities",
    "repository",
    "shards",
    "site_metadata",
    "streams",
    "tags",
]


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC: text that sorts in SQLite, a timestamp with its zone elsewhere."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type in a database."""
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


metadata = MetaData()

# SQLite counts up by itself only what is called INTEGER.
_Counter = BigInteger().with_variant(Integer, "sqlite")


def _of_dataset(**options: Any) -> Column[str]:
    return Column("dataset_id", Text, ForeignKey("datasets.dataset_id"), nullable=False, **options)


datasets = Table(
    "datasets",
    metadata,
    Column("dataset_id", Text, primary_key=True),
    Column("instrument", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("sample", Text),
    Column("material", Text),
    Column("simulated", Boolean(create_constraint=False), nullable=False),
    Column("state", Text, CheckConstraint("state IN ('open', 'complete')"), nullable=False),
    Column("manifest", Text),
    Column("first_registered_utc", UtcTime, nullable=False),
    Column("completed_utc", UtcTime),
    Column("first_acquired_utc", UtcTime),
    Column("last_acquired_utc", UtcTime),
    Column("operator", Text),
    Column("missing", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("instrument", "session"),
    Index("datasets_by_time", "first_acquired_utc"),
    Index("datasets_by_material", "material"),
)

# A shard that was pruned keeps its row: hash and provenance outlive the file.
shards = Table(
    "shards",
    metadata,
    Column("idempotency_key", Text, primary_key=True),
    _of_dataset(),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("registered_utc", UtcTime, nullable=False),
    Column("registered_with", Text, nullable=False),
    Column("recorded_with", Text, nullable=False),
    Column("facts", Text),
    Column("receipted_utc", UtcTime),
    Column("state", Text, nullable=False, server_default="here"),
    Column("pruned_utc", UtcTime),
    Column("pruned_why", Text),
    Index("shards_by_dataset", "dataset_id", "first_sequence"),
)

events = Table(
    "events",
    metadata,
    Column("id", _Counter, primary_key=True),
    Column("document", Text, nullable=False),
    Column("published", Integer, nullable=False, server_default="0"),
    Index("events_by_state", "published", "id"),
)

streams = Table(
    "streams",
    metadata,
    _of_dataset(primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("frames", BigInteger, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("uniform", Boolean(create_constraint=False), nullable=False),
)

quantities = Table(
    "quantities",
    metadata,
    _of_dataset(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("minimum", Float, nullable=False),
    Column("maximum", Float, nullable=False),
    Index("quantities_by_value", "name", "minimum", "maximum"),
)

tags = Table(
    "tags",
    metadata,
    _of_dataset(primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("at_utc", UtcTime, nullable=False),
    Index("tags_by_name", "tag"),
)

notes = Table(
    "notes",
    metadata,
    Column("id", _Counter, primary_key=True),
    _of_dataset(),
    Column("text", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_utc", UtcTime, nullable=False),
    Index("notes_by_dataset", "dataset_id"),
)

# Never changed in place: the newest row counts, the ones before stay.
site_metadata = Table(
    "annotations",
    metadata,
    Column("id", _Counter, primary_key=True),
    _of_dataset(),
    Column("document", Text, nullable=False),
    Column("schema_sha256", Text),
    Column("by", Text, nullable=False),
    Column("at_utc", UtcTime, nullable=False),
    Index("annotations_by_dataset", "dataset_id"),
)

holds = Table(
    "holds",
    metadata,
    _of_dataset(primary_key=True),
    Column("why", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_utc", UtcTime, nullable=False),
)

copies = Table(
    "copies",
    metadata,
    Column("idempotency_key", Text, ForeignKey("shards.idempotency_key"), primary_key=True, nullable=False),
    Column("address", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("confirmed_utc", UtcTime, nullable=False),
)

lineage_nodes = Table(
    "lineage_nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("recorded_utc", UtcTime, nullable=False),
    Index("lineage_nodes_by_kind", "kind"),
)

# One row: the root that the catalogue is of.
repository = Table(
    "repository",
    metadata,
    Column("repository_id", Text, primary_key=True),
    Column("recorded_utc", UtcTime, nullable=False),
)

lineage_edges = Table(
    "lineage_edges",
    metadata,
    Column("source", Text, primary_key=True),
    Column("relation", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Index("lineage_edges_by_target", "target"),
)
