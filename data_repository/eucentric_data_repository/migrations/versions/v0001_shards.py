"""Data sets, shards and events, as version 0.1.0 made them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from eucentric_data_repository._tables import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "datasets",
        sa.Column("dataset_id", sa.Text, primary_key=True),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("sample", sa.Text),
        sa.Column("material", sa.Text),
        sa.Column("simulated", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("state", sa.Text, sa.CheckConstraint("state IN ('open', 'complete')"), nullable=False),
        sa.Column("manifest", sa.Text),
        sa.Column("first_registered_utc", UtcTime, nullable=False),
        sa.Column("completed_utc", UtcTime),
        sa.UniqueConstraint("instrument", "session"),
    )
    op.create_table(
        "shards",
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("datasets.dataset_id"), nullable=False),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("registered_by", sa.Text, nullable=False),
        sa.Column("registered_utc", UtcTime, nullable=False),
        sa.Column("registered_with", sa.Text, nullable=False),
        sa.Column("recorded_with", sa.Text, nullable=False),
    )
    op.create_index("shards_by_dataset", "shards", ["dataset_id", "first_sequence"])
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("published", sa.Integer, nullable=False, server_default="0"),
    )
