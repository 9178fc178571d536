"""The secrets of a hub: made once, each in a file that its account alone may read, and never printed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from eucentric_core import Settings, fsync_directory, read_secret_file

from ._databases import OWNER, ROLES
from ._folder import HubFolder

__all__ = [
    "derived_secrets",
    "make_secrets",
    "passwords",
    "read_secret",
    "secret_files",
    "write_derived",
    "write_secret",
]

_LOGIN_USER = "eucentric"
_BYTES = 24


def secret_files() -> dict[str, str]:
    """Names of the files and what each holds."""
    return {
        **{f"postgres-{role}": f"password of PostgreSQL's role {role}" for role in (OWNER, *ROLES)},
        "prefect-login": "name and password that Prefect asks for",
        "mlflow-login": "name and password that MLflow asks for",
        "mlflow-session-key": "signs MLflow's forms",
    }


def make_secrets(folder: HubFolder) -> tuple[str, ...]:
    """Make every secret that is missing; those that are there stay. Returns the names of the new ones."""
    folder.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name in secret_files():
        word = secrets.token_urlsafe(_BYTES)
        content = f"{_LOGIN_USER}:{word}" if name.endswith("-login") else word
        if not (folder.secrets / name).exists():
            write_secret(folder.secrets / name, content.encode())
            made.append(name)
    fsync_directory(folder.secrets)
    return tuple(made)


def read_secret(folder: HubFolder, name: str) -> str:
    """One of the secrets.

    Raises:
        ConfigurationError: it is missing, or open to others.
    """
    return read_secret_file(folder.secrets / name, setting="the hub's folder, or run `eucentric hub init`")


def passwords(folder: HubFolder) -> dict[str, str]:
    """Of every role of PostgreSQL.

    Raises:
        ConfigurationError: a secret is missing or open to others.
    """
    return {role: read_secret(folder, f"postgres-{role}") for role in (OWNER, *ROLES)}


def derived_secrets(folder: HubFolder, settings: Settings) -> Mapping[Path, str]:
    """Files that repeat secrets in a form that another program reads; written anew at every `init`."""
    port = settings.hub.server.postgres_port
    lines = [
        f"127.0.0.1:{port}:*:{role}:{read_secret(folder, f'postgres-{role}')}" for role in (OWNER, *ROLES)
    ]
    user, _, password = read_secret(folder, "mlflow-login").partition(":")
    users = settings.hub.mlflow_users_database
    mlflow = [
        "[mlflow]",
        # Whoever has a login may read; what they may change is for the administrator to say.
        "default_permission = READ",
        f"database_uri = {users}",
        f"admin_username = {user}",
        f"admin_password = {password}",
        # Each check of a password costs as much as a guess (PBKDF2); one that was right counts for a minute.
        "auth_cache_ttl_seconds = 60",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
    ]
    return {
        folder.pgpass: "\n".join(lines) + "\n",
        folder.secrets / "mlflow-auth.ini": "\n".join(mlflow) + "\n",
    }


def write_derived(folder: HubFolder, settings: Settings) -> None:
    """Write the derived files anew."""
    for path, text in derived_secrets(folder, settings).items():
        path.unlink(missing_ok=True)
        write_secret(path, text.encode())


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that must not exist, and that nobody but its owner can read from the first moment.

    Raises:
        FileExistsError: it exists; a secret is never overwritten.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The mode is given at creation: a later chmod would leave a moment in which others can read.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
