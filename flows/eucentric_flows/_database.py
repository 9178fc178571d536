"""The SQLite files of this room: several processes write to each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from eucentric_core import open_database

__all__ = ["open_shared_database"]

_BUSY_TIMEOUT_S = 20.0


def open_shared_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a database, made with its folder if missing; see `eucentric_core.open_database`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_database(path, schema, busy_timeout_s=_BUSY_TIMEOUT_S)
