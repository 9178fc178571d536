"""The dose ledger on disk: a restart of the agent forgets no dose."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from eucentric_core import ConfigurationError, EucentricError, open_database, transaction

from ._field import Field
from ._ledger import DoseLedger, Region

__all__ = ["LedgerStore", "LedgerWriteError"]

_SESSIONS_KEPT = 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    region_size_m REAL NOT NULL,
    dose_area REAL NOT NULL,
    beam_on_s REAL NOT NULL,
    area_m2 REAL NOT NULL,
    merged INTEGER NOT NULL,
    everywhere TEXT NOT NULL,
    unlisted TEXT NOT NULL,
    expected TEXT
);
CREATE TABLE IF NOT EXISTS regions (
    session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    x INTEGER NOT NULL,
    y INTEGER NOT NULL,
    dose_e_per_a2 REAL NOT NULL,
    beam_on_s REAL NOT NULL,
    area_m2 REAL NOT NULL,
    PRIMARY KEY (session_id, x, y)
);
"""
_UPSERT_SESSION = """
INSERT INTO sessions
    (name, region_size_m, dose_area, beam_on_s, area_m2, merged, everywhere, unlisted, expected)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET region_size_m = excluded.region_size_m, dose_area = excluded.dose_area,
    beam_on_s = excluded.beam_on_s, area_m2 = excluded.area_m2, merged = excluded.merged,
    everywhere = excluded.everywhere, unlisted = excluded.unlisted, expected = excluded.expected
"""
_TRIM = """
DELETE FROM sessions
WHERE id NOT IN (SELECT id FROM sessions ORDER BY id DESC LIMIT ?) AND id != ?
"""


class LedgerWriteError(EucentricError):
    """The dose ledger could not be written: what is spent from now on might be forgotten."""

    code = "dose_ledger"


class LedgerStore:
    """Ledgers of the latest sessions in one SQLite file; whoever calls holds a lock.

    Args:
        path: the file, whose folder exists; None keeps everything in memory.

    Raises:
        ConfigurationError: the file is damaged, or another process holds it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._database = open_database(
                path or Path(":memory:"), _SCHEMA, busy_timeout_s=0.5, exclusive=path is not None
            )
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def load(self, session: str, region_size_m: float) -> DoseLedger:
        """The ledger of a session, empty if it is not known.

        What was expected to happen when it was written last counts as having happened. A ledger of another
        grid counts in all squares as in its most exposed one.

        Raises:
            ConfigurationError: the file is damaged.
        """
        ledger = DoseLedger(session, region_size_m)
        try:
            row = self._database.execute("SELECT * FROM sessions WHERE name = ?", (session,)).fetchone()
            if row is None:
                return ledger
            stored = DoseLedger(session, float(row["region_size_m"]))
            stored.dose_area_e_m2_per_a2 = float(row["dose_area"])
            stored.beam_on_s, stored.area_m2 = float(row["beam_on_s"]), float(row["area_m2"])
            stored.merged = bool(row["merged"])
            stored.everywhere = Region(*json.loads(row["everywhere"]))
            stored.unlisted = Region(*json.loads(row["unlisted"]))
            for x, y, *region in self._database.execute(
                "SELECT x, y, dose_e_per_a2, beam_on_s, area_m2 FROM regions WHERE session_id = ?",
                (row["id"],),
            ):
                stored.regions[x, y] = Region(*region)
            if row["expected"] is not None:
                field, dose_e_per_a2, beam_on_s = json.loads(row["expected"])
                stored.add(Field(*field), dose_e_per_a2, beam_on_s)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._unreadable(error) from error
        return stored if stored.region_size_m == region_size_m else _regridded(stored, region_size_m)

    def save(
        self,
        ledger: DoseLedger,
        expected: tuple[Field, float, float] | None,
        *,
        instead_of: str | None = None,
    ) -> None:
        """Write what has changed, durably.

        Args:
            ledger: what has been spent.
            expected: field, dose and time that may be spent before the next call.
            instead_of: name of a session whose ledger this one has taken over; it is forgotten.

        Raises:
            LedgerWriteError: it could not be written; the file holds the state before.
        """
        ahead = None if expected is None else json.dumps([astuple(expected[0]), *expected[1:]])
        values = (
            ledger.session,
            ledger.region_size_m,
            ledger.dose_area_e_m2_per_a2,
            ledger.beam_on_s,
            ledger.area_m2,
            int(ledger.merged),
            json.dumps(astuple(ledger.everywhere)),
            json.dumps(astuple(ledger.unlisted)),
            ahead,
        )
        with self._written() as database:
            if instead_of is not None:
                database.execute("DELETE FROM sessions WHERE name = ?", (instead_of,))
            database.execute(_UPSERT_SESSION, values)
            number = database.execute("SELECT id FROM sessions WHERE name = ?", (ledger.session,)).fetchone()[
                0
            ]
            for cell in ledger.changed:
                region = ledger.regions.get(cell)
                if region is None:
                    database.execute(
                        "DELETE FROM regions WHERE session_id = ? AND x = ? AND y = ?", (number, *cell)
                    )
                else:
                    database.execute(
                        "INSERT OR REPLACE INTO regions VALUES (?, ?, ?, ?, ?, ?)",
                        (number, *cell, *astuple(region)),
                    )
            database.execute(_TRIM, (_SESSIONS_KEPT, number))
        ledger.changed.clear()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._database) as database:
                yield database
        except sqlite3.Error as error:
            raise LedgerWriteError(
                f"The dose ledger cannot be written: {error}.",
                safe="no more beam is let on while a dose budget is set; blanking and safe stop work.",
                next_step=f"check the disk that holds {self._path}.",
            ) from error

    def _unreadable(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"The dose ledger {self._path} cannot be read: {error}.",
            safe="no beam is let on while doses cannot be told.",
            next_step="stop the other agent that holds it, or move the file away and so forget its doses.",
        )


def _regridded(stored: DoseLedger, region_size_m: float) -> DoseLedger:
    ledger = DoseLedger(stored.session, region_size_m)
    ledger.beam_on_s = stored.beam_on_s
    ledger.dose_area_e_m2_per_a2 = stored.dose_area_e_m2_per_a2
    ledger.area_m2, ledger.merged = stored.area_m2, True
    regions = (stored.unlisted, *stored.regions.values())
    ledger.unlisted = Region(
        max(region.dose_e_per_a2 for region in regions), max(region.beam_on_s for region in regions)
    )
    ledger.everywhere = stored.everywhere
    # The old squares leave the file with the next save.
    ledger.changed = set(stored.regions)
    # Small old squares may share a large new one, and one field was counted in each of those it touched:
    # the largest of them is what any point of the specimen has got.
    return ledger
