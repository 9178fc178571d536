"""What Alembic runs: the migrations, on the connection and in the transaction of whoever calls."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
