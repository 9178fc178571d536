"""A real S3 store for tests: OpenStack Swift with its S3 door, which checks signatures (version 4).

Four processes of Debian's packages (proxy, account, container, object) in a temporary folder on free ports,
without systemd and without root's folders.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eucentric_core.transport import find_free_port

__all__ = ["ACCESS_KEY", "SECRET_KEY", "SwiftServer", "is_installed", "running_swift"]

ACCESS_KEY = "lab:agent"
SECRET_KEY = "secret-of-the-test-store"  # noqa: S105 - of a store that lives as long as the test run

_SERVERS = ("account", "container", "object")
_PYTHON = "/usr/bin/python3"
_START_S = 60.0
_STOP_S = 10.0
_LOG_TAIL = 2000

_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, ports = sys.argv[1], sys.argv[2:]
for kind, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(4, 1, 1)
    place = {"ip": "127.0.0.1", "port": int(port), "device": "disk", "region": 1, "zone": 1, "weight": 1.0}
    copies = {"replication_ip": "127.0.0.1", "replication_port": int(port)}
    builder.add_dev({"id": 0, "meta": "", **place, **copies})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""

_COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}
mount_check = false
disable_fallocate = true
workers = 0
log_level = WARNING
log_address = {folder}/no-syslog
"""

_STORAGE = """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY = """[pipeline:main]
pipeline = catch_errors healthcheck cache bulk s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_lab_agent = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{nobody}
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:healthcheck]
use = egg:swift#healthcheck
"""


@dataclass(frozen=True)
class SwiftServer:
    """A store that runs: where its S3 door is."""

    port: int

    @property
    def url(self) -> str:
        """Endpoint of the S3 door."""
        return f"http://127.0.0.1:{self.port}"


def is_installed() -> bool:
    """Whether Debian's Swift is on this machine."""
    return all(shutil.which(f"swift-{kind}-server") for kind in (*_SERVERS, "proxy"))


@contextmanager
def running_swift(folder: Path) -> Iterator[SwiftServer]:
    """Start a store in an empty folder, and stop it and all its processes at the end."""
    ports = {kind: find_free_port() for kind in (*_SERVERS, "proxy")}
    (folder / "disk").mkdir()
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    subprocess.run([_PYTHON, "-c", _RINGS, str(folder), *(str(ports[kind]) for kind in _SERVERS)], check=True)
    for kind in _SERVERS:
        _configure(folder, kind, ports[kind], _STORAGE.format(kind=kind))
    _configure(folder, "proxy", ports["proxy"], _PROXY.format(secret=SECRET_KEY, nobody=find_free_port()))
    processes = []
    try:
        for kind in (*_SERVERS, "proxy"):
            processes.append(_start(folder, kind))
        _wait_until_healthy(folder, ports["proxy"], [ports[kind] for kind in _SERVERS])
        yield SwiftServer(ports["proxy"])
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            _end(process)


def _configure(folder: Path, kind: str, port: int, rest: str) -> None:
    user = os.environ.get("USER") or _user_name()
    (folder / f"{kind}.conf").write_text(_COMMON.format(port=port, user=user, folder=folder) + rest)


def _user_name() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _start(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            [_PYTHON, f"/usr/bin/swift-{kind}-server", str(folder / f"{kind}.conf")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own: whatever a server forks ends with it.
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=_STOP_S)


def _wait_until_healthy(folder: Path, port: int, storage: Iterable[int]) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            for other in storage:
                socket.create_connection(("127.0.0.1", other), timeout=2).close()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=2):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline_s:
                logs = {path.name: path.read_text()[-_LOG_TAIL:] for path in folder.glob("*.log")}
                raise RuntimeError(f"Swift did not start: {error}; {logs}") from error
            time.sleep(0.1)
