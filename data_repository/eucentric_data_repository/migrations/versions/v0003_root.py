"""Which repository a catalogue belongs to, for catalogues that do not lie in its root."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from eucentric_data_repository._tables import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "repository",
        sa.Column("repository_id", sa.Text, primary_key=True),
        sa.Column("recorded_utc", UtcTime, nullable=False),
    )
