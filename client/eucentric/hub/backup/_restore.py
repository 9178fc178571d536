"""Putting a hub back on an empty machine: everything beside its place, verified there, then renamed."""

from __future__ import annotations

import json
import secrets
import shutil
import tomllib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from eucentric_core import (
    Settings,
    fsync_directory,
    read_secret_file,
    require_free_space,
    utc_now,
    write_atomic,
)

from .._databases import DATABASES, OWNER
from .._folder import HubFolder
from .._render import plan_changes, render, write_changes
from .._secrets import make_secrets, passwords, write_derived, write_secret
from ._archive import read_archive
from ._artefacts import artefact_store
from ._databases import restore_database
from ._errors import ArchiveDamagedError, RestoreRefusedError
from ._manifest import SEALED, BackupManifest
from ._relocation import relocated
from ._scratch_postgres import scratch_postgres
from ._sealing import unseal

__all__ = ["RestorePlan", "plan_restore", "restore"]

_SETTINGS = "home/hub/eucentric.toml"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do.

    Args:
        archive: that was checked.
        manifest: of it.
        home: where the hub comes to lie.
        passphrase_file: opens the secrets; None: new ones are made.
    """

    archive: Path
    manifest: BackupManifest
    home: Path
    passphrase_file: Path | None

    @property
    def new_secrets(self) -> bool:
        """Whether the secrets of the hub are made anew."""
        return self.manifest.secrets == "left out" or self.passphrase_file is None

    @property
    def lines(self) -> tuple[str, ...]:
        """In words."""
        manifest = self.manifest
        size = sum(member.size_bytes for member in manifest.members.values())
        rows = {name: sum(one.rows.values()) for name, one in manifest.databases.items()}
        old = f" (it lay in {manifest.home})" if manifest.home != str(self.home) else ""
        return (
            f"{self.archive.name}: hub {manifest.hub} as it was {manifest.made_utc:%Y-%m-%d %H:%M:%S} UTC, "
            f"{len(manifest.members)} files, {size / 2**20:.1f} MiB, every hash is right",
            f"would be put into {self.home}{old}, which is empty",
            *(f"the part {name!r} would be put into {where}" for name, where in manifest.outside.items()),
            *(f"database {name}: {count} rows" for name, count in rows.items()),
            *(
                [f"MLflow's artefacts: {manifest.artefacts} files back into the S3 store of the settings"]
                if manifest.artefacts is not None
                else []
            ),
            "data: "
            + ("with all shards" if manifest.data == "all" else "without shards, only what says of them"),
            "secrets: " + (self._secrets_line()),
        )

    def _secrets_line(self) -> str:
        if not self.new_secrets:
            return "unsealed from the archive"
        why = (
            "the archive holds none"
            if self.manifest.secrets == "left out"
            else "they are sealed, and no passphrase was given"
        )
        return (
            f"MADE ANEW, because {why}: logins of Prefect and MLflow change, MLflow's other users are gone, "
            "and the keys that sign releases have to be brought from where you keep them"
        )


def plan_restore(
    archive: Path, *, home: Path | None, passphrase_file: Path | None, say: Callable[[str], None]
) -> RestorePlan:
    """Check an archive, and that nothing lies where it would be put. Nothing is written.

    Raises:
        ArchiveDamagedError: the archive is not what it was.
        RestoreRefusedError: something lies there.
    """
    say("checking every byte of the archive")
    manifest = read_archive(archive)
    where = (home or Path(manifest.home)).expanduser().absolute()
    for place in (where, *map(Path, manifest.outside.values())):
        if place.is_dir() and not any(place.iterdir()):
            continue
        if place.exists() or place.is_symlink():
            raise RestoreRefusedError(
                f"{place} is not empty.",
                safe="nothing in it was touched, nothing was restored.",
                next_step="move it away, or give --home a new folder; a restore never overwrites anything.",
            )
    return RestorePlan(archive, manifest, where, passphrase_file)


def restore(plan: RestorePlan, *, say: Callable[[str], None]) -> Settings:
    """Do it. Until all of it is verified nothing lies at its place.

    Returns:
        The settings of the restored hub.

    Raises:
        ArchiveDamagedError: something in it is not what it was.
        RestoreRefusedError: something lies there, or the passphrase is another one.
        OutOfSpaceError: the disk has no room.
    """
    manifest = plan.manifest
    size = sum(member.size_bytes for member in manifest.members.values())
    plan.home.parent.mkdir(parents=True, exist_ok=True)
    require_free_space(plan.home.parent, 3 * size)
    staging = plan.home.with_name(f".{plan.home.name}.restoring-{secrets.token_hex(4)}")
    staging.mkdir(mode=0o755)
    try:
        say("taking the archive apart")
        if read_archive(plan.archive, into=staging / "archive") != manifest:
            raise ArchiveDamagedError(
                f"The archive {plan.archive} changed after it was checked.",
                safe="nothing was restored.",
                next_step="leave it alone and try again.",
            )
        settings = _Putting(plan, staging, say).run()
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return settings


class _Putting:
    def __init__(self, plan: RestorePlan, staging: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._apart = staging / "archive"
        self._home = HubFolder(staging / "home")

    def run(self) -> Settings:
        parts = self._apart / "home"
        parts.rename(self._home.home)
        settings = self._settings()
        self._make_secrets(settings)
        changes = plan_changes(self._home, render(settings))
        write_changes(self._home, changes, replace=True, now=utc_now())
        self._put_databases(settings)
        self._put_artefacts(settings)
        self._say("putting everything in its place")
        for name, where in self._plan.manifest.outside.items():
            _move_into(self._apart / name, Path(where))
        _move_into(self._home.home, self._plan.home)
        note = {"archive": self._plan.archive.name, "restored_utc": utc_now().isoformat()}
        write_atomic(self._plan.home / "hub" / "restored.json", json.dumps(note, indent=2).encode())
        return settings

    def _settings(self) -> Settings:
        path = self._home.home / Path(_SETTINGS).relative_to("home")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return Settings.model_validate(relocated(document, self._plan.manifest.home, str(self._plan.home)))

    def _make_secrets(self, settings: Settings) -> None:
        sealed = self._apart / SEALED
        if not self._plan.new_secrets and self._plan.passphrase_file is not None:
            passphrase = read_secret_file(self._plan.passphrase_file, setting="--passphrase-file")
            for name, content in unseal(sealed.read_bytes(), passphrase).items():
                part, *rest = Path(name).parts
                base = self._home.home if part == "home" else self._apart / part
                write_secret(base.joinpath(*rest), content)
        make_secrets(self._home)
        write_derived(self._home, settings)

    def _put_databases(self, settings: Settings) -> None:
        words = passwords(self._home)
        self._say("making PostgreSQL's files")
        with scratch_postgres(settings, self._home, words) as (programs, port):
            for database in DATABASES:
                copied = self._plan.manifest.databases[database.name]
                if database.name == "mlflow_users" and self._plan.new_secrets:
                    # Its administrator has the password that is lost; MLflow makes it anew with the new one.
                    continue
                self._say(f"restoring the database {database.name}, {sum(copied.rows.values())} rows")
                restore_database(
                    database,
                    self._apart / copied.member,
                    copied.rows,
                    programs=programs,
                    port=port,
                    password=words[OWNER],
                )

    def _put_artefacts(self, settings: Settings) -> None:
        store = artefact_store(settings)
        if store is None or self._plan.manifest.artefacts is None:
            return
        prefix = "artefacts/"
        files = {
            name.removeprefix(prefix): member.sha256
            for name, member in self._plan.manifest.members.items()
            if name.startswith(prefix)
        }
        with closing(store):
            store.require_room(files)
            for number, name in enumerate(sorted(files), start=1):
                self._say(f"putting MLflow's artefacts into the S3 store, {number} of {len(files)}")
                store.put(self._apart / prefix / name, name)


def _move_into(source: Path, target: Path) -> None:
    """Rename a folder into its place, which is empty or not there; across disks it is copied."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rmdir()
    shutil.move(source, target)
    fsync_directory(target.parent)
