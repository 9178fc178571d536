"""Databases as a server of this run has made them, for the next server of that kind to begin with.

Prefect and MLflow bring a new SQLite file up through all versions of their schema, which takes longer than
the rest of their start. The first of a run does so; its file is kept, and those after it get a copy. A start
from nothing stays in the tests of practice sites, of the hub and of the registry's own command.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["DATABASES", "KEPT_IN", "with_made_database"]

DATABASES = {"prefect": "prefect.db", "mlflow": "mlflow.sqlite"}
"""What each calls its own, in the folder of its name below the home."""

KEPT_IN = "EUCENTRIC_TEST_DATABASES"
"""Names the folder of a run in the environment; without it, as in benchmarks, nothing is kept."""
_LOCKED_TIMEOUT_S = 60.0


@contextmanager
def with_made_database(database: Path) -> Iterator[None]:
    """Start a server in this block, and wait in it until the server is ready.

    Args:
        database: the SQLite file that it will use, in a folder that exists; a file that exists is left alone.
    """
    folder = os.environ.get(KEPT_IN)
    if folder is None or database.exists():
        yield
        return
    kept = Path(folder) / database.name
    if kept.exists():
        shutil.copyfile(kept, database)
        yield
        return
    yield
    copy = kept.with_name(uuid.uuid4().hex)
    with (
        closing(sqlite3.connect(database, timeout=_LOCKED_TIMEOUT_S)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    # Another process of the run may have been as fast: either is whole.
    copy.replace(kept)
