"""Making an archive of a hub that runs: written beside, verified, put in place; then the oldest go."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from eucentric_core import OutOfSpaceError, Settings, fsync_directory, read_secret_file, utc_now

from .._databases import DATABASES, OWNER, ensure_databases
from .._folder import HubFolder
from .._postgres import PostgresPrograms, find_programs
from .._secrets import passwords, read_secret
from ._archive import ArchiveWriter, archive_name, archives, read_archive, writing_archive
from ._artefacts import artefact_store
from ._contents import LEFT_OUT, files_of, holds_private_key, is_secret, parts_of
from ._databases import dump_database
from ._errors import BackupFailedError
from ._manifest import MANIFEST, SEALED, BackupManifest, CopiedDatabase
from ._retention import surplus
from ._sealing import seal

__all__ = ["BackupMade", "make_backup"]

_MOST_SECRET_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class BackupMade:
    """A new archive, what it says of itself, and which older ones went."""

    path: Path
    manifest: BackupManifest
    removed: tuple[Path, ...]


def make_backup(settings: Settings, folder: HubFolder, *, say: Callable[[str], None]) -> BackupMade:
    """Copy everything, in an order in which what comes earlier refers only to what comes later.

    First the record of runs, then the databases (of the catalogue, then of MLflow), then artefacts, releases
    and the rest: a run that says "version 7" is in no archive without version 7. Nothing has to be stopped.

    Args:
        settings: complete, of the hub.
        folder: of the hub.
        say: told what is done.

    Raises:
        BackupFailedError: nothing was kept of it; the archives of before are untouched.
        ConfigurationError: the passphrase's file cannot be used.
        OutOfSpaceError: the disk is full.
    """
    backup, target = settings.hub.server.backup, folder.backups(settings)
    passphrase = (
        None
        if backup.passphrase_file is None
        else read_secret_file(backup.passphrase_file, setting="hub.server.backup.passphrase_file")
    )
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    made_utc = utc_now().replace(microsecond=0)
    path = target / archive_name(made_utc)
    partial = path.with_name(f".{path.name}.part")
    if path.exists() or partial.exists():
        raise BackupFailedError(
            f"{path.name} is there, or being made.",
            safe="it is untouched.",
            next_step="wait a second and try again; remove a .part file that nobody writes.",
        )
    scratch = Path(tempfile.mkdtemp(prefix=".backup-", dir=target))
    try:
        with writing_archive(partial) as writer:
            copy = _Copy(settings, folder, writer, scratch, say)
            manifest = copy.run(
                BackupManifest(
                    made_utc=made_utc,
                    hub=settings.hub.server.name,
                    home=str(settings.home),
                    eucentric_version=version("eucentric"),
                    postgres_version=find_programs(folder.postgres_data).version,
                    data=backup.data,
                    left_out={
                        **{f"{settings.home / name}": why for name, why in LEFT_OUT.items()},
                        f"{settings.home / 'training'}/MODEL/RUN": "a run that is resumed makes it again",
                    },
                ),
                passphrase,
            )
            writer.add_bytes(manifest.model_dump_json(indent=1).encode(), MANIFEST)
        say("verifying the archive")
        read_archive(partial)
        partial.rename(path)
        fsync_directory(target)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    old = tuple(one.path for one in surplus(archives(target), backup.keep))
    for one in old:
        one.unlink(missing_ok=True)
    return BackupMade(path, manifest, old)


class _Copy:
    def __init__(
        self,
        settings: Settings,
        folder: HubFolder,
        writer: ArchiveWriter,
        scratch: Path,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._writer = writer
        self._scratch = scratch
        self._say = say
        self._secrets: dict[str, bytes] = {}
        self._done: set[str] = set()

    def run(self, manifest: BackupManifest, passphrase: str | None) -> BackupManifest:
        parts = parts_of(self._settings)
        self._say("copying the record of runs and policies")
        for path in sorted((self._settings.home / "flows").glob("*.sqlite")):
            self._add(path, f"home/flows/{path.name}")
        databases = self._dump_databases()
        artefacts = self._copy_artefacts()
        self._say("copying files")
        for part in parts:
            for path, name in files_of(part, self._settings):
                self._add(path, name)
        left_out = dict(manifest.left_out)
        if passphrase is None:
            left_out["secrets"] = "no hub.server.backup.passphrase_file is set"
        else:
            self._writer.add_bytes(seal(self._secrets, passphrase), SEALED, mode=0o600)
        return manifest.model_copy(
            update={
                "members": dict(self._writer.members),
                "databases": databases,
                "outside": {part.name: str(part.folder) for part in parts if part.name != "home"},
                "secrets": "left out" if passphrase is None else "sealed",
                "artefacts": artefacts,
                "left_out": left_out,
            }
        )

    def _dump_databases(self) -> dict[str, CopiedDatabase]:
        programs: PostgresPrograms = find_programs(self._folder.postgres_data)
        port = self._settings.hub.server.postgres_port
        # A database whose service never ran is copied empty.
        ensure_databases(self._settings, passwords(self._folder))
        password, copied = read_secret(self._folder, f"postgres-{OWNER}"), {}
        for database in DATABASES:
            self._say(f"copying the database {database.name}")
            dump, name = self._scratch / f"{database.name}.dump", f"databases/{database.name}.dump"
            rows = dump_database(database, dump, programs=programs, port=port, password=password)
            self._writer.add_file(dump, name)
            dump.unlink()
            copied[database.name] = CopiedDatabase(member=name, rows=rows)
        return copied

    def _copy_artefacts(self) -> int | None:
        store = artefact_store(self._settings)
        if store is None:
            return None
        with closing(store):
            names = store.names()
            for number, name in enumerate(names, start=1):
                self._say(f"copying MLflow's artefacts from the S3 store, {number} of {len(names)}")
                target = self._scratch / "artefact"
                store.fetch(name, target)
                self._writer.add_file(target, f"artefacts/{name}")
                target.unlink()
        return len(names)

    def _add(self, path: Path, name: str) -> None:
        if name in self._done:
            return
        self._done.add(name)
        try:
            source = self._copied(path) if path.suffix == ".sqlite" else path
            if is_secret(name) or holds_private_key(source):
                self._keep_secret(source, name)
            else:
                self._writer.add_file(source, name)
        except FileNotFoundError:
            # It went while the others were copied: nothing that is still there refers to it.
            return

    def _keep_secret(self, path: Path, name: str) -> None:
        self._secrets[name] = path.read_bytes()
        if sum(map(len, self._secrets.values())) > _MOST_SECRET_BYTES:
            raise BackupFailedError(
                f"The secrets take more than {_MOST_SECRET_BYTES >> 20} MiB with {path}.",
                safe="the archives of before are untouched.",
                next_step="move what is no secret out of that folder.",
            )

    def _copied(self, path: Path) -> Path:
        """One moment of a database that is being written, by SQLite's own way."""
        target = self._scratch / "copy.sqlite"
        target.unlink(missing_ok=True)
        try:
            with (
                closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as source,
                closing(sqlite3.connect(target)) as copy,
            ):
                source.backup(copy)
        except sqlite3.Error as error:
            raise BackupFailedError(
                f"{path} cannot be copied: {error}.",
                safe="the archives of before are untouched.",
                next_step="check that file; `eucentric hub status` shows which service uses it.",
            ) from error
        return target


def _cannot_write(path: Path, error: OSError) -> OutOfSpaceError | BackupFailedError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpaceError(
            f"The disk of {path.parent} is full.",
            safe="the archives of before are untouched.",
            next_step="free space there, lower hub.server.backup.keep, or name another folder.",
        )
    where = os.fsdecode(error.filename) if error.filename else str(path)
    return BackupFailedError(
        f"The backup failed at {where}: {error.strerror or error}.",
        safe="the archives of before are untouched.",
        next_step="correct its permissions and try again.",
    )
