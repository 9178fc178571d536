"""All services of the site as real processes: started in order, watched, and always stopped."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from eucentric_core import EucentricError, ManagedProcess, local_address
from eucentric_flows import prefect_server
from eucentric_model_registry import mlflow_server

from ._site import Site

__all__ = ["Stack", "StageTimeoutError"]

_SERVICE_TIMEOUT_S = 60.0
_SERVER_TIMEOUT_S = 120.0
_POLL_S = 0.1


class StageTimeoutError(EucentricError):
    """A stage of the demo did not come to its end in time."""

    code = "stage_timeout"


class Stack:
    """The processes of a site. Leaving the `with` block stops all of them: services, then servers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._servers: list[ManagedProcess] = []
        self._services: list[ManagedProcess] = []
        self._tend: Callable[[], None] = _nothing
        # Third parties leave files where temporary files go. The folder lies beside the home because
        # sockets are made in it, whose paths may not exceed about a hundred characters.
        self._scratch = tempfile.TemporaryDirectory(prefix="eucentric-scratch-", ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C would leave behind what the first one has not stopped yet.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for processes in (self._services, self._servers):
                if processes:
                    with ThreadPoolExecutor(len(processes)) as pool:
                        list(pool.map(ManagedProcess.stop, processes))
            self._scratch.cleanup()
        finally:
            signal.signal(signal.SIGINT, previous)

    def start_servers(self) -> None:
        """Start Prefect and MLflow side by side and wait for both.

        Raises:
            ServiceUnavailableError: one of them did not come up; names its log.
        """
        settings = self._site.settings
        mlflow_host, mlflow_port = local_address(
            settings.hub.mlflow_url, setting="hub.mlflow_url", example="http://127.0.0.1:PORT"
        )
        waiting = []
        for server in (
            prefect_server(settings),
            mlflow_server(settings.home / "mlflow", host=mlflow_host, port=mlflow_port),
        ):
            process = self._spawn(server.name, server.command, server.environment)
            self._servers.append(process)
            waiting.append((process, server.is_healthy))
        for process, is_healthy in waiting:
            process.wait_ready(is_healthy, timeout_s=_SERVER_TIMEOUT_S)

    def start_service(self, service: str, package: str, arguments: Sequence[str] = ()) -> None:
        """Start one of our own services and wait until it says that it is ready.

        Raises:
            ServiceUnavailableError: it did not come up; names its log.
        """
        home = self._site.home
        command = [sys.executable, "-m", package, "serve", "--config", str(self._site.config), *arguments]
        process = self._spawn(service, command)
        self._services.append(process)
        process.wait_ready((home / "run" / f"{service}.json").exists, timeout_s=_SERVICE_TIMEOUT_S)

    def run(self, name: str, package: str, arguments: Sequence[str], *, timeout_s: float) -> None:
        """Run a command to its end.

        Raises:
            ServiceUnavailableError: it failed; names its log.
        """
        process = self._spawn(name, [sys.executable, "-m", package, *arguments])
        self._services.append(process)
        process.wait_finished(timeout_s=timeout_s)
        # A command that has ended is no service: `wait_until` must not miss it.
        self._services.remove(process)

    def wait_until(self, condition: Callable[[], bool], *, what: str, timeout_s: float) -> None:
        """Wait for a condition while watching that every service is alive.

        Raises:
            ServiceUnavailableError: a service ended; names its log.
            StageTimeoutError: the condition did not come true in time.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            self._tend()
            for process in (*self._servers, *self._services):
                process.require_running()
            if time.monotonic() > deadline:
                raise StageTimeoutError(
                    f"Waited {timeout_s:g} s in vain until {what}.",
                    safe="the beam is blanked and every process of the demo is stopped.",
                    next_step=f"see the logs in {self._site.home / 'logs'}.",
                )
            time.sleep(_POLL_S)

    @contextmanager
    def tending(self, tend: Callable[[], None]) -> Iterator[None]:
        """While waiting inside, look after something as well; `tend` is called at every look."""
        self._tend = tend
        try:
            yield
        finally:
            self._tend = _nothing

    def _spawn(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        log = self._site.settings.logs / f"{name}.log"
        scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._scratch.name)
        return ManagedProcess(name, command, log=log, environment={**scratch, **(environment or {})})


def _nothing() -> None:
    """Nothing has to be looked after."""
