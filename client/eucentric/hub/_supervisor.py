"""`eucentric hub up`: every service of the hub in the foreground, for machines without systemd."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from eucentric_core import ConfigurationError, FrozenModel, Settings, write_atomic

from ._folder import HubFolder
from ._needs import NEEDS
from ._processes import living_service, stop_left_over
from ._restarts import Restarts
from ._services import is_ready
from ._supervised import Supervised, SupervisedView

__all__ = ["Supervision", "read_supervision", "supervise"]

_POLL_S = 0.1
_ASK_S = 2.0
_ASK_AGAIN_S = 0.3

_log = logging.getLogger(__name__)


class Supervision(FrozenModel):
    """What the supervisor knows, as it writes it at every change."""

    pid: int
    services: dict[str, SupervisedView]


def read_supervision(folder: HubFolder) -> Supervision | None:
    """What the last supervisor wrote last; None if there was none."""
    try:
        return Supervision.model_validate_json(folder.supervision.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def supervise(
    settings: Settings,
    folder: HubFolder,
    stopping: threading.Event,
    *,
    on_change: Callable[[Mapping[str, SupervisedView]], None],
) -> None:
    """Start the services in order, watch them, start again what ends, and stop all at the end.

    Args:
        settings: complete, of the hub.
        folder: of the hub.
        stopping: set when all shall end.
        on_change: told at every change of a service's state.

    Raises:
        ConfigurationError: the hub runs already.
    """
    server = settings.hub.server
    services: dict[str, Supervised] = {
        name: Supervised(
            name,
            (sys.executable, "-m", "eucentric", "hub", "run", name, "--config", str(folder.settings)),
            settings.logs / f"{name}.log",
            Restarts(server.restarts, server.restarts_within_s),
        )
        for name in NEEDS
        if name in server.services
    }
    with _alone(folder, services), _Health(settings, folder) as health:
        try:
            _watch(services, health, folder, stopping, on_change)
        finally:
            for service in reversed(services.values()):
                service.stop()
            folder.supervision.unlink(missing_ok=True)


def _watch(
    services: Mapping[str, Supervised],
    health: _Health,
    folder: HubFolder,
    stopping: threading.Event,
    on_change: Callable[[Mapping[str, SupervisedView]], None],
) -> None:
    told: dict[str, SupervisedView] = {}
    while not stopping.is_set():
        for name, service in services.items():
            needed = all(services[one].state == "up" for one in NEEDS[name] if one in services)
            service.step(time.monotonic(), needed_are_up=needed, answers=lambda name=name: health.of(name))  # type: ignore[misc]  # the default binds the name
        views = {name: service.view for name, service in services.items()}
        if views != told:
            told = views
            content = Supervision(pid=os.getpid(), services=views).model_dump_json()
            write_atomic(folder.supervision, content.encode(), durable=False)
            on_change(views)
        stopping.wait(_POLL_S)


class _Health:
    """Asks each service now and then, beside: none that hangs holds up the others."""

    def __init__(self, settings: Settings, folder: HubFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._pool = ThreadPoolExecutor(len(NEEDS), thread_name_prefix="health")
        self._asked: dict[str, tuple[float, Future[bool]]] = {}

    def __enter__(self) -> _Health:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, name: str) -> bool:
        """The newest answer; a question that is under way counts as what it has not brought yet: no."""
        now_s = time.monotonic()
        asked = self._asked.get(name)
        if asked is None:
            self._ask(name, now_s)
            return False
        at_s, answer = asked
        if not answer.done():
            return False
        if now_s - at_s > (_ASK_S if answer.result() else _ASK_AGAIN_S):
            self._ask(name, now_s)
        return answer.result()

    def _ask(self, name: str, now_s: float) -> None:
        self._asked[name] = (now_s, self._pool.submit(is_ready, name, self._settings, self._folder))


@contextmanager
def _alone(folder: HubFolder, services: Mapping[str, Supervised]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder.running.mkdir(parents=True, exist_ok=True)
    lock: Path = folder.running / "up.lock"
    try:
        with FileLock(lock, timeout=0):
            left = {name: one for name in services if (one := living_service(folder, name))}
            elsewhere = [name for name, one in left.items() if not one.is_here]
            if elsewhere:
                raise _runs_already(folder, f"{', '.join(elsewhere)} run in containers")
            if left and read_supervision(folder) is None:
                raise _runs_already(folder, f"{', '.join(left)} run under systemd or by hand")
            for name in reversed(left):
                _log.warning("%s is left from a supervisor that was killed, and is stopped", name)
                stop_left_over(folder, name)
            yield
    except Timeout as error:
        raise _runs_already(folder, "another `eucentric hub up` runs") from error


def _runs_already(folder: HubFolder, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The hub in {folder.home} cannot be started: {why}.",
        safe="nothing was started.",
        next_step="look with `eucentric hub status`, and stop what runs: by Ctrl-C where it was started, or "
        "`systemctl stop eucentric-hub.target`.",
    )
