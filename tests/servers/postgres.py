"""A real PostgreSQL for tests: no systemd, a folder of its own, a free port, an unprivileged user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from eucentric_core.transport import find_free_port

__all__ = ["Postgres", "find_postgres", "running_postgres"]

_USER = "eucentric"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
# What is lost in a power cut does not matter here, how long each commit takes does.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "60"}


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`; None where PostgreSQL is not installed."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").is_file():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Postgres:
    """A running server. Each test takes a database of its own."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self.password = password
        self._made = 0

    def create_database(self, template: str = "template1") -> str:
        """A new database, empty or a copy of another; returns its address without the password."""
        self._made += 1
        name = f"catalogue_{self._made}"
        with self.connect() as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection of the superuser, each statement its own transaction."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )


def _unprivileged() -> tuple[int, int] | None:
    """Whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    pytest.skip("PostgreSQL refuses to run as root, and there is no unprivileged user here")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server and stop it; skips where PostgreSQL is not installed."""
    binaries = find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    identity = _unprivileged()
    # Below pytest's own folder another user could not reach it.
    folder = Path(tempfile.mkdtemp(prefix="eucentric-postgres-"))
    try:
        password, port = secrets.token_hex(16), find_free_port()
        (folder / "password").write_text(password)
        if identity is not None:
            for path in (folder, folder / "password"):
                os.chown(path, *identity)
        process = _start(binaries, folder, port, identity)
        try:
            server = Postgres(port, password)
            _wait(server, process, folder)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(_STOP_TIMEOUT_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    binaries: Path, folder: Path, port: int, identity: tuple[int, int] | None
) -> subprocess.Popen[bytes]:
    user, group = identity or (None, None)
    groups: list[int] | None = None if identity is None else []
    data = folder / "data"
    made = subprocess.run(
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", _USER, "--auth=scram-sha-256"),
            *("--pwfile", str(folder / "password"), "-E", "UTF8", "--locale=C", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        user=user,
        group=group,
        extra_groups=groups,
    )
    assert made.returncode == 0, made.stderr
    settings = {
        **_OPTIONS,
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "log_min_messages": "warning",
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                *(str(binaries / "postgres"), "-D", str(data)),
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            user=user,
            group=group,
            extra_groups=groups,
        )


def _wait(server: Postgres, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"PostgreSQL did not start: {error}\n{said}") from error
            time.sleep(0.1)
