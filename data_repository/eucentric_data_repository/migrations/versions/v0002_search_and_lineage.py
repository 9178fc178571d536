"""What a search, a person, the lineage of models and retention need."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from eucentric_data_repository._tables import UtcTime

revision = "0002"
down_revision = "0001"


def _counter() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _dataset(primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "dataset_id", sa.Text, sa.ForeignKey("datasets.dataset_id"), primary_key=primary_key, nullable=False
    )


def _who() -> tuple[sa.Column[str], sa.Column[object]]:
    return sa.Column("by", sa.Text, nullable=False), sa.Column("at_utc", UtcTime, nullable=False)


def _count_missing() -> None:
    """A manifest can be megabytes long: what a list of data sets shows of it is counted once."""
    table = sa.table("datasets", sa.column("dataset_id"), sa.column("manifest"), sa.column("missing"))
    connection = op.get_bind()
    closed = sa.select(table.c.dataset_id, table.c.manifest).where(table.c.manifest.is_not(None))
    for row in connection.execute(closed).all():
        missing = len(json.loads(row.manifest).get("missing_sequences", ()))
        connection.execute(
            sa.update(table).where(table.c.dataset_id == row.dataset_id).values(missing=missing)
        )


def upgrade() -> None:
    """Make the step."""
    for column in (
        sa.Column("first_acquired_utc", UtcTime),
        sa.Column("last_acquired_utc", UtcTime),
        sa.Column("operator", sa.Text),
        sa.Column("missing", sa.BigInteger, nullable=False, server_default="0"),
    ):
        op.add_column("datasets", column)
    _count_missing()
    op.create_index("datasets_by_time", "datasets", ["first_acquired_utc"])
    op.create_index("datasets_by_material", "datasets", ["material"])
    for column in (
        sa.Column("facts", sa.Text),
        sa.Column("receipted_utc", UtcTime),
        sa.Column("state", sa.Text, nullable=False, server_default="here"),
        sa.Column("pruned_utc", UtcTime),
        sa.Column("pruned_why", sa.Text),
    ):
        op.add_column("shards", column)
    op.create_index("events_by_state", "events", ["published", "id"])
    op.create_table(
        "streams",
        _dataset(primary_key=True),
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("dtype", sa.Text, nullable=False),
        sa.Column("shape", sa.Text, nullable=False),
        sa.Column("uniform", sa.Boolean(create_constraint=False), nullable=False),
    )
    op.create_table(
        "quantities",
        _dataset(primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("minimum", sa.Float, nullable=False),
        sa.Column("maximum", sa.Float, nullable=False),
    )
    op.create_index("quantities_by_value", "quantities", ["name", "minimum", "maximum"])
    op.create_table("tags", _dataset(primary_key=True), sa.Column("tag", sa.Text, primary_key=True), *_who())
    op.create_index("tags_by_name", "tags", ["tag"])
    op.create_table(
        "notes",
        sa.Column("id", _counter(), primary_key=True),
        _dataset(),
        sa.Column("text", sa.Text, nullable=False),
        *_who(),
    )
    op.create_index("notes_by_dataset", "notes", ["dataset_id"])
    op.create_table(
        "annotations",
        sa.Column("id", _counter(), primary_key=True),
        _dataset(),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("schema_sha256", sa.Text),
        *_who(),
    )
    op.create_index("annotations_by_dataset", "annotations", ["dataset_id"])
    op.create_table("holds", _dataset(primary_key=True), sa.Column("why", sa.Text, nullable=False), *_who())
    op.create_table(
        "copies",
        sa.Column("idempotency_key", sa.Text, sa.ForeignKey("shards.idempotency_key"), primary_key=True),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("confirmed_utc", UtcTime, nullable=False),
    )
    op.create_table(
        "lineage_nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("recorded_utc", UtcTime, nullable=False),
    )
    op.create_index("lineage_nodes_by_kind", "lineage_nodes", ["kind"])
    op.create_table(
        "lineage_edges",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("relation", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
    )
    op.create_index("lineage_edges_by_target", "lineage_edges", ["target"])
