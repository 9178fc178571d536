"""Our SQLite files keep what was committed, and a second process waits or is kept out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eucentric_core import open_database, transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS frames (id INTEGER PRIMARY KEY, session INTEGER REFERENCES sessions (id));
"""


def opened(path: Path, *, exclusive: bool = False) -> sqlite3.Connection:
    return open_database(path, SCHEMA, busy_timeout_s=0.05, exclusive=exclusive)


def test_a_committed_transaction_is_on_the_disk_and_seen_by_others(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    writer, reader = opened(path), opened(path)
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    with transaction(writer) as connection:
        connection.execute("INSERT INTO sessions VALUES (7)")
    assert [row["id"] for row in reader.execute("SELECT id FROM sessions")] == [7]
    reader.close()
    writer.close()
    again = opened(path)
    assert again.execute("SELECT COUNT(*) FROM sessions").fetchone()[0] == 1
    again.close()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    connection = opened(tmp_path / "journal.sqlite")
    twice = "INSERT INTO sessions VALUES (?)", [(1,), (2,), (1,)]
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany(*twice)
    assert connection.execute("SELECT COUNT(*) FROM sessions").fetchone()[0] == 0
    connection.close()


def test_a_second_writer_waits_for_a_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first, second = opened(path), opened(path)
    with transaction(first), pytest.raises(sqlite3.OperationalError, match="locked"), transaction(second):
        pass
    with transaction(second):
        second.execute("INSERT INTO sessions VALUES (1)")
    first.close()
    second.close()


def test_an_exclusive_database_keeps_others_out_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    owner = opened(path, exclusive=True)
    with pytest.raises(sqlite3.OperationalError) as refused:
        opened(path)
    assert refused.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    owner.close()
    opened(path).close()
