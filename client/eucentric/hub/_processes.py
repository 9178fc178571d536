"""Which process is which service, whoever started it: the supervisor here, systemd, or a container."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field, ValidationError

from eucentric_core import FrozenModel, UtcDatetime, utc_now, write_atomic

from ._folder import HubFolder

__all__ = [
    "StartedService",
    "is_alive",
    "living_service",
    "note_started",
    "started_service",
    "stop_left_over",
]

_GRACE_S = 20.0
_NAMESPACE = Path("/proc/self/ns/pid")


class StartedService(FrozenModel):
    """A process that became a service.

    Args:
        pid: of the process.
        began_s: when the kernel made it (s since 1970): another process may have its number by now.
        started_utc: the same for people.
        version: of the program.
        namespace: in which that number holds, for a container has its own; 0 if it is not known.
    """

    pid: Annotated[int, Field(ge=1)]
    began_s: float
    started_utc: UtcDatetime
    version: str
    namespace: Annotated[int, Field(ge=0)] = 0

    @property
    def is_here(self) -> bool:
        """Whether we number processes as that one does."""
        return self.namespace in (0, _namespace())


def note_started(folder: HubFolder, service: str, version: str) -> None:
    """Say that this process becomes the service now; a lock says so, too, as long as the process lives."""
    folder.running.mkdir(parents=True, exist_ok=True)
    pid = os.getpid()
    started = StartedService(
        pid=pid,
        began_s=psutil.Process(pid).create_time(),
        started_utc=utc_now(),
        version=version,
        namespace=_namespace(),
    )
    _hold(_lock(folder, service))
    write_atomic(_file(folder, service), started.model_dump_json().encode(), durable=False)


def started_service(folder: HubFolder, service: str) -> StartedService | None:
    """The process that became the service last; None if there was none."""
    try:
        return StartedService.model_validate_json(_file(folder, service).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def living_service(folder: HubFolder, service: str) -> StartedService | None:
    """The process that became the service last, if it still runs, here or in another container."""
    started = started_service(folder, service)
    if started is None:
        return None
    runs = _runs(started) if started.is_here else _is_held(_lock(folder, service))
    return started if runs else None


def is_alive(folder: HubFolder, service: str) -> bool:
    """Whether that process still runs."""
    return living_service(folder, service) is not None


def stop_left_over(folder: HubFolder, service: str) -> None:
    """Stop a service whose supervisor is gone, with all that it started; it was given a group of its own."""
    started = living_service(folder, service)
    if started is None or not started.is_here:
        return
    process = psutil.Process(started.pid)
    family = [process, *process.children(recursive=True)]
    with suppress(psutil.NoSuchProcess):
        # PostgreSQL waits for its clients at SIGTERM.
        process.send_signal(signal.SIGINT if service == "postgres" else signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=_GRACE_S)
    for left in alive:
        with suppress(psutil.NoSuchProcess):
            left.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)


def _file(folder: HubFolder, service: str) -> Path:
    return folder.running / f"{service}.json"


def _lock(folder: HubFolder, service: str) -> Path:
    return folder.running / f"{service}.lock"


def _runs(started: StartedService) -> bool:
    try:
        process = psutil.Process(started.pid)
        return process.create_time() == started.began_s and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _namespace() -> int:
    try:
        return _NAMESPACE.stat().st_ino
    except OSError:
        return 0


def _hold(lock: Path) -> None:
    if sys.platform != "win32":
        import fcntl

        # For good, and through exec: whatever this process becomes, it keeps the lock until it ends.
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        os.set_inheritable(descriptor, True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def _is_held(lock: Path) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with lock.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
