"""A real RabbitMQ for tests: no systemd, a folder and ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from eucentric_core.transport import find_free_port

__all__ = ["running_rabbitmq"]

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0


@contextmanager
def running_rabbitmq() -> Iterator[str]:
    """Start a broker and stop it; gives its AMQP address. Skips where RabbitMQ is not installed."""
    if not _SERVER.exists():
        pytest.skip("RabbitMQ is not installed (apt-get install rabbitmq-server)")
    folder = Path(tempfile.mkdtemp(prefix="eucentric-rabbitmq-"))
    # Debian's script gives up root.
    folder.chmod(0o777)
    port = find_free_port()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"eucentric{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(find_free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(find_free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        # Without it the runtime's threads turn in circles while they wait for work.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(_SERVER)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait(server, port, folder / "log")
        yield f"amqp://guest:guest@127.0.0.1:{port}/"
    finally:
        _stop(server, environment["ERL_EPMD_PORT"])
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"RabbitMQ did not start: {error}\n{said}") from error
            time.sleep(0.2)
        else:
            return


def _stop(server: subprocess.Popen[bytes], epmd_port: str) -> None:
    family = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    for process in family:
        # The Erlang machine stops tidily on SIGTERM; the script around it does not pass it on.
        process.terminate()
    server.send_signal(signal.SIGTERM)
    _, late = psutil.wait_procs(family, _STOP_TIMEOUT_S)
    for process in late:
        process.kill()
    server.wait()
    for process in psutil.process_iter():
        try:
            mine = process.name() == "epmd" and process.environ().get("ERL_EPMD_PORT") == epmd_port
        except psutil.Error:
            continue
        if mine:
            process.kill()
