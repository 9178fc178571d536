"""A PostgreSQL that runs for as long as databases are put back."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import Settings
from eucentric_core.transport import find_free_port

from .._databases import OWNER, ensure_databases
from .._folder import HubFolder
from .._postgres import PostgresPrograms, ensure_cluster, postgres_account

__all__ = ["scratch_postgres"]

_STOP_S = 120


@contextmanager
def scratch_postgres(
    settings: Settings, folder: HubFolder, passwords: Mapping[str, str]
) -> Iterator[tuple[PostgresPrograms, int]]:
    """Make a cluster with the hub's empty databases in `folder`, run it on a free port, and stop it cleanly.

    Raises:
        ConfigurationError: PostgreSQL is missing.
        ServiceUnavailableError: it cannot make its files, or does not start.
    """
    programs = ensure_cluster(settings, folder, passwords[OWNER])
    port, account = find_free_port(), postgres_account(settings)
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
    with (folder.home / "postgres-of-the-restore.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(programs.path("postgres"), "-D", str(folder.postgres_data)),
                *(word for key, value in options.items() for word in ("-c", f"{key}={value}")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder.postgres if os.access(folder.postgres, os.X_OK) else Path("/"),
            start_new_session=True,
            user=None if account is None else account.user,
            group=None if account is None else account.group,
            extra_groups=None if account is None else [],
        )
    try:
        ensure_databases(settings, passwords, port=port)
        yield programs, port
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
