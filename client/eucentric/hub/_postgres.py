"""The hub's own PostgreSQL: Debian's programs, a cluster below the home, on loopback only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eucentric_core import ConfigurationError, ServiceUnavailableError, Settings, fsync_directory

from ._databases import OWNER
from ._folder import HubFolder

__all__ = ["Account", "PostgresPrograms", "drop_to", "ensure_cluster", "find_programs", "postgres_account"]

_DEBIAN = Path("/usr/lib/postgresql")
_INIT_TIMEOUT_S = 300


class Account(NamedTuple):
    """A user of this machine."""

    name: str
    user: int
    group: int


class PostgresPrograms:
    """The programs of one version of PostgreSQL.

    Args:
        folder: holds `postgres`, `initdb`, `pg_dump`, `pg_restore`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, program: str) -> str:
        """A program of this version."""
        return str(self.folder / program)

    @property
    def version(self) -> str:
        """For example `15.14`."""
        said = subprocess.run(
            [self.path("postgres"), "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        return next((word for word in said.split() if word[:1].isdigit()), said.strip())


def find_programs(data: Path) -> PostgresPrograms:
    """The programs that fit a data folder; the newest where there is none yet.

    Raises:
        ConfigurationError: PostgreSQL is not installed, or not in the version of the data.
    """
    marker = data / "PG_VERSION"
    try:
        wanted = marker.read_text().strip()
    except FileNotFoundError:
        wanted = ""
    except OSError as error:
        raise _unusable(
            f"{marker} cannot be read: {error.strerror}.", "run this as the hub's account, or as root."
        ) from error
    folders = [
        path / "bin"
        for path in sorted(_DEBIAN.glob("*"), key=lambda path: float(path.name), reverse=True)
        if (path / "bin" / "initdb").is_file() and wanted in ("", path.name)
    ]
    found = shutil.which("initdb")
    if not folders and found is not None and not wanted:
        folders = [Path(found).resolve().parent]
    if not folders:
        version = f" {wanted}" if wanted else ""
        raise _unusable(
            f"PostgreSQL{version} is not installed on this machine.",
            f"on Debian, as root: apt-get install postgresql{'-' + wanted if wanted else ''}",
        )
    return PostgresPrograms(folders[0])


def postgres_account(settings: Settings) -> Account | None:
    """Whom PostgreSQL runs as: nobody else than we are, except where we are root, whom it refuses.

    Raises:
        ConfigurationError: there is no such account.
    """
    if os.geteuid() != 0:
        return None
    import pwd

    name = settings.hub.server.postgres_account
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise _unusable(
            f"PostgreSQL refuses to run as root, and there is no account {name!r} here.",
            "run the hub as another user (docs/hub.md), or set hub.server.postgres_account.",
        ) from error
    return Account(name, entry.pw_uid, entry.pw_gid)


def ensure_cluster(settings: Settings, folder: HubFolder, password: str) -> PostgresPrograms:
    """Make the data folder if there is none, with checksums of its pages and passwords for everybody.

    Raises:
        ConfigurationError: PostgreSQL is missing, or may not use the folder.
        ServiceUnavailableError: it cannot make its files.
    """
    programs, account = find_programs(folder.postgres_data), postgres_account(settings)
    if (folder.postgres_data / "PG_VERSION").exists():
        return programs
    folder.postgres.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        os.chown(folder.postgres, account.user, account.group)
    if folder.postgres_data.exists() and any(folder.postgres_data.iterdir()):
        raise _unusable(
            f"{folder.postgres_data} holds something, but no database.",
            "restore a backup into an empty home, or move that folder away.",
        )
    # Made beside and renamed: what an interrupted start leaves behind is no database, and is taken for none.
    partial = folder.postgres / "data.part"
    shutil.rmtree(partial, ignore_errors=True)
    word = folder.postgres / "password-of-the-owner"
    word.unlink(missing_ok=True)
    with os.fdopen(os.open(word, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(password)
    try:
        if account is not None:
            os.chown(word, account.user, account.group)
        command = [
            *(programs.path("initdb"), "-D", str(partial), "-U", OWNER),
            *("--auth=scram-sha-256", f"--pwfile={word}"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"),
        ]
        made = _run_as(account, command, folder.postgres)
    finally:
        word.unlink()
    if made.returncode != 0:
        reason = " ".join((made.stderr or made.stdout).split())[-400:].rstrip(".")
        raise ServiceUnavailableError(
            f"PostgreSQL cannot make its files in {folder.postgres_data}: {reason}.",
            safe="no database was made.",
            next_step="let its account reach the folder (every folder above needs x), or free space.",
        )
    partial.rename(folder.postgres_data)
    fsync_directory(folder.postgres)
    return programs


def _run_as(account: Account | None, command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INIT_TIMEOUT_S,
        cwd=cwd,
        user=None if account is None else account.user,
        group=None if account is None else account.group,
        extra_groups=None if account is None else [],
    )


def drop_to(account: Account | None) -> None:
    """Become that account for good; nothing to do for None."""
    if account is None:
        return
    os.setgroups([])
    os.setgid(account.group)
    os.setuid(account.user)


def _unusable(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="nothing was started.", next_step=next_step)
