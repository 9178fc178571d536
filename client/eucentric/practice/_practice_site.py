"""The services of a practice site as real processes: started in order, and always stopped."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from eucentric_core import (
    ConfigurationError,
    LocalServer,
    ManagedProcess,
    Settings,
    load_settings,
    write_atomic,
)

from ..display import card, require
from ..scope import Scope, connect
from ._practice_keys import PracticeKeys
from ._practice_model import release_shipped
from ._practice_settings import practice_settings, toml_lines

__all__ = ["PracticeSite", "Service"]

Service = Literal["mlflow", "prefect", "repository", "agent", "edge", "flows", "dashboard"]

_PACKAGES: Mapping[str, str] = {
    "repository": "eucentric_data_repository",
    "agent": "eucentric_agents",
    "edge": "eucentric_edge",
    "flows": "eucentric_flows",
    "dashboard": "eucentric_dashboard",
}
_ORDER: tuple[tuple[Service, ...], ...] = (
    ("mlflow", "prefect", "repository", "agent", "edge"),
    ("flows", "dashboard"),
)
"""Those of one row start beside each other, and the next row when they are ready."""
_SERVICES = tuple(service for row in _ORDER for service in row)
_KEYED = frozenset[Service]({"edge", "mlflow"})
_TIMEOUT_S = 180.0


class PracticeSite:
    """Services of this machine with a SIMULATED microscope, on free ports, in a temporary folder.

    Everything is stopped and removed by `close`, at the end of a `with` block, or when Python ends.

    Args:
        services: what to start; the agent if nothing is named. With `edge` or `mlflow` keys are made, too.
            `flows` runs what is ordered, with `prefect` and `mlflow` beside it; `dashboard` has no login.
        settings: changes by section, such as `{"agent": {"driver": {"seed": 3}}}`.
        tls: give everything keys, as on a network: mutual TLS and encrypted data channels.

    Raises:
        ConfigurationError: there is no such service, a setting is wrong, or the environment holds settings.
        ServiceUnavailableError: a service did not come up; names its log.
    """

    def __init__(
        self, *services: Service, settings: Mapping[str, Any] | None = None, tls: bool = False
    ) -> None:
        wanted = services or ("agent",)
        if unknown := set(wanted) - set(_SERVICES):
            raise ConfigurationError(
                f"There is no service {', '.join(sorted(unknown))} for practice.",
                safe="nothing was started.",
                next_step=f"choose from {', '.join(_SERVICES)}.",
            )
        if overriding := sorted(name for name in os.environ if name.startswith("EUCENTRIC__")):
            raise ConfigurationError(
                f"Settings in the environment would have practice work elsewhere: {', '.join(overriding)}.",
                safe="nothing was started.",
                next_step="start Python without them.",
            )
        # Short, because sockets are made in it, whose paths may not exceed about a hundred characters.
        self.home = Path(tempfile.mkdtemp(prefix="eu-practice-"))
        self.config = self.home / "eucentric.toml"
        self.services = tuple(service for service in _SERVICES if service in wanted)
        self._processes: list[ManagedProcess] = []
        self._closed = False
        self.keys: PracticeKeys | None = None
        atexit.register(self.close)
        try:
            chosen = practice_settings(self.home, ships="repository" in wanted, given=settings or {})
            if tls:
                self.keys = PracticeKeys(self.home / "authority")
                machine = self.keys.machine("practice-pc").model_dump(mode="json", exclude_none=True)
                for section in ("agent", "edge", "repository"):
                    chosen[section]["tls"] = machine
                own = self.keys.person("practice").model_dump(mode="json", exclude_none=True)
                chosen["client"] = {**chosen.get("client", {}), "tls": own}
            write_atomic(self.config, ("\n".join(toml_lines(chosen)) + "\n").encode())
            self.settings: Settings = load_settings(self.config)
            if _KEYED & set(wanted):
                self._make_keys()
            for row in _ORDER:
                begun = [self._begin(service) for service in row if service in wanted]
                for process, ready in begun:
                    process.wait_ready(ready, timeout_s=_TIMEOUT_S)
        except BaseException:
            self.close(keep_logs=True)
            raise

    def connect(self, client: str = "practice") -> Scope:
        """Connect to the site's microscope; see `eucentric.connect`."""
        return connect(config=self.config, client=client)

    def release(self, model: str = "columns") -> None:
        """Sign a model that comes with the package and release it; the edge serves it when it has looked.

        Raises:
            EngineError: no such model is shipped.
        """
        release_shipped(self.settings, model)

    def close(self, *, keep_logs: bool = False) -> None:
        """Stop everything and remove the folder; twice is once.

        Args:
            keep_logs: leave the folder `logs`, for whoever looks for the reason of a failure.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for process in reversed(self._processes):
            process.stop()
        for item in self.home.iterdir():
            if not (keep_logs and item.name == "logs"):
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        if not keep_logs:
            self.home.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        agent = self.settings.agent
        rows = [
            ("services", ", ".join(self.services)),
            ("instrument", f"{agent.name}, driver {agent.instrument}"),
            ("settings", self.config),
            ("state", "closed" if self._closed else "running on this machine"),
        ]
        badges = ["SIMULATED"] if agent.instrument in ("twin", "usim") else []
        return card("practice site", rows, badges=badges)

    def _make_keys(self) -> None:
        registry = require("eucentric_model_registry", "hub")
        settings = self.settings
        folder = registry.KeyFolder(
            settings.signing_key_path, settings.trusted_keys_path, settings.trust_root_path
        )
        registry.create_trust(folder, settings.releases_path)

    def _begin(self, service: Service) -> tuple[ManagedProcess, Callable[[], bool]]:
        """Start a service; its process, and what says whether it is ready."""
        server = self._server(service)
        log = self.home / "logs" / f"{service}.log"
        if server is None:
            command = [sys.executable, "-m", _PACKAGES[service], "serve", "--config", str(self.config)]
            process = ManagedProcess(service, command, log=log)
            ready: Callable[[], bool] = (self.home / "run" / f"{service}.json").exists
        else:
            process = ManagedProcess(service, server.command, log=log, environment=server.environment)
            ready = server.is_healthy
        self._processes.append(process)
        return process, ready

    def _server(self, service: Service) -> LocalServer | None:
        """How to start a service that is not one of ours."""
        match service:
            case "mlflow":
                port = int(self.settings.hub.mlflow_url.rpartition(":")[2])
                made = require("eucentric_model_registry", "hub").mlflow_server(
                    self.home / "mlflow", host="127.0.0.1", port=port
                )
            case "prefect":
                made = require("eucentric_flows", "hub").prefect_server(self.settings)
            case _:
                return None
        return cast(LocalServer, made)
