"""Support sets by name and version."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import OutOfSpaceError, Settings, open_database, transaction, utc_now, write_atomic

from ._errors import SupportSetConflictError, SupportSetStoreError, UnknownSupportSetError
from ._record import NewSupportSet, SupportSetRecord

__all__ = ["SupportSetStore", "support_set_store"]

MAX_CONTENT_BYTES = 64 << 20
"""As few-shot models have it: what is larger is no support set."""

_BUSY_TIMEOUT_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    name TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    record TEXT NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;
CREATE TRIGGER IF NOT EXISTS versions_stay BEFORE UPDATE ON versions
    BEGIN SELECT RAISE(ABORT, 'a saved version is never changed'); END;
CREATE TRIGGER IF NOT EXISTS versions_are_kept BEFORE DELETE ON versions
    BEGIN SELECT RAISE(ABORT, 'a saved version is never deleted'); END;
"""


def support_set_store(settings: Settings) -> SupportSetStore:
    """The store of this hub."""
    return SupportSetStore(settings.home / "support-sets")


class SupportSetStore:
    """Named support sets whose versions only rise. Any thread and any process may use it.

    Nobody overwrites a version: what is saved is another one. The content lies in a file that is named by its
    SHA-256, and is hashed again whenever it is read.

    Args:
        folder: of the store; made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, new: NewSupportSet, content: bytes) -> SupportSetRecord:
        """Keep another version; the newest one again if that has the very same content and notes.

        Args:
            new: its facts.
            content: the support set itself, as JSON.

        Raises:
            SupportSetConflictError: the newest version is not the one that the work began with.
            SupportSetStoreError: it is too large, or the store cannot be written.
            OutOfSpaceError: the disk is full; nothing was saved.
        """
        if len(content) > MAX_CONTENT_BYTES:
            raise _failed(f"it is larger than {MAX_CONTENT_BYTES >> 20} MiB", "use fewer or smaller chips.")
        sha256 = hashlib.sha256(content).hexdigest()
        with self._writing() as connection:
            # First the content: a record without one would be a promise that nobody can keep.
            self._keep(sha256, content)
            with transaction(connection):
                newest = _newest(connection, new.name)
                if newest is not None and newest.sha256 == sha256 and _says_the_same(newest, new):
                    return newest
                if newest is not None and newest.version != new.based_on:
                    raise _conflict(newest, new.based_on)
                record = SupportSetRecord(
                    **{field: getattr(new, field) for field in type(new).model_fields},
                    version=1 if newest is None else newest.version + 1,
                    sha256=sha256,
                    saved_utc=utc_now(),
                )
                connection.execute(
                    "INSERT INTO versions (name, version, record) VALUES (?, ?, ?)",
                    (record.name, record.version, record.model_dump_json()),
                )
        return record

    def newest(self) -> tuple[SupportSetRecord, ...]:
        """The newest version of each name, those that were saved last first."""
        records = self._read(
            "SELECT record FROM versions AS one WHERE version = "
            "(SELECT max(version) FROM versions WHERE name = one.name)"
        )
        return tuple(sorted(records, key=lambda record: record.saved_utc, reverse=True))

    def history(self, name: str) -> tuple[SupportSetRecord, ...]:
        """All versions of a name, the newest first; none if there is no such name."""
        return self._read("SELECT record FROM versions WHERE name = ? ORDER BY version DESC", name)

    def record(self, name: str, version: int | None = None) -> SupportSetRecord:
        """One version, by default the newest.

        Raises:
            UnknownSupportSetError: there is none.
        """
        found = self.history(name)
        for record in found:
            if version is None or record.version == version:
                return record
        which = f"{name!r}" if version is None else f"{name!r} in version {version}"
        raise UnknownSupportSetError(
            f"There is no support set {which}.",
            safe="nothing was loaded and nothing was changed.",
            next_step="choose one of the list."
            if not found
            else f"its newest version is {found[0].version}.",
        )

    def content(self, record: SupportSetRecord) -> bytes:
        """The support set itself, as JSON.

        Raises:
            SupportSetStoreError: its file is missing or damaged.
        """
        path = self.path(record)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _failed(
                f"{path} cannot be read ({error.strerror})", "restore it from a backup of the hub."
            ) from error
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise _failed(
                f"the content of {record.name} v{record.version} is damaged: its SHA-256 is another",
                "restore it from a backup of the hub, or load another version.",
            )
        return content

    def path(self, record: SupportSetRecord) -> Path:
        """Where the content lies."""
        return self._folder / "content" / f"{record.sha256}.json"

    def _keep(self, sha256: str, content: bytes) -> None:
        place = self._folder / "content" / f"{sha256}.json"
        try:
            place.parent.mkdir(exist_ok=True)
            # Written again even if it is there: what is there may be damaged, and this is not.
            write_atomic(place, content)
        except OutOfSpaceError:
            raise
        except OSError as error:
            raise _unwritable(self._folder, str(error)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            connection = open_database(self._database, _SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S)
        except (OSError, sqlite3.Error) as error:
            raise _unwritable(self._folder, str(error)) from error
        try:
            yield connection
        except sqlite3.Error as error:
            raise _unwritable(self._folder, str(error)) from error
        finally:
            connection.close()

    def _read(self, question: str, *values: str) -> tuple[SupportSetRecord, ...]:
        if not self._database.exists():
            return ()
        try:
            connection = open_database(self._database, _SCHEMA, busy_timeout_s=_BUSY_TIMEOUT_S)
            try:
                rows = connection.execute(question, values).fetchall()
            finally:
                connection.close()
            return tuple(SupportSetRecord.model_validate_json(row["record"]) for row in rows)
        except (sqlite3.Error, ValueError) as error:
            raise _failed(
                f"{self._database} cannot be read ({error})", "restore it from a backup of the hub."
            ) from error

    @property
    def _database(self) -> Path:
        return self._folder / "versions.sqlite"


def _newest(connection: sqlite3.Connection, name: str) -> SupportSetRecord | None:
    row = connection.execute(
        "SELECT record FROM versions WHERE name = ? ORDER BY version DESC LIMIT 1", (name,)
    ).fetchone()
    return None if row is None else SupportSetRecord.model_validate_json(row["record"])


def _says_the_same(newest: SupportSetRecord, new: NewSupportSet) -> bool:
    return (newest.notes, newest.classes, newest.author) == (new.notes, new.classes, new.author)


def _conflict(newest: SupportSetRecord, based_on: int | None) -> SupportSetConflictError:
    began = "as a new name" if based_on is None else f"from version {based_on}"
    return SupportSetConflictError(
        f"The support set {newest.name!r} is at version {newest.version}, saved by {newest.author}; "
        f"this one began {began}.",
        safe="nothing was overwritten; what you labelled is still on the page.",
        next_step=f"look at version {newest.version} in the history, then save yours after it, "
        "or give yours another name.",
        name=newest.name,
        version=newest.version,
        author=newest.author,
    )


def _unwritable(folder: Path, why: str) -> SupportSetStoreError:
    return _failed(f"{folder} cannot be written ({why})", "check the folder and its disk, and save again.")


def _failed(why: str, next_step: str) -> SupportSetStoreError:
    return SupportSetStoreError(
        f"The support set was not saved or read: {why}.",
        safe="versions that were saved before are unchanged.",
        next_step=next_step,
    )
