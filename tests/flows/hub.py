"""A hub without Prefect: MLflow, workers and the stages of a retraining, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TypeVar

from eucentric_core import ManagedProcess, Settings
from eucentric_flows import EventOutbox
from eucentric_flows._pipeline import Ending, Say, Site
from eucentric_flows._retraining import retrain
from eucentric_flows.policy import RetrainAction, RetrainRequest
from eucentric_model_registry import mlflow_server

from ..servers.made_databases import with_made_database

__all__ = ["Hub", "running_mlflow"]

_T = TypeVar("_T")


class Hub:
    """The stages, run one after the other as the flow runs them, and told by name."""

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self.site = Site.of(settings, EventOutbox(settings.home / "events.sqlite"))
        self.executor: Future[Executor] = Future()
        self.executor.set_result(executor)
        self.stages: list[str] = []
        self.said: list[str] = []

    def run_stage(self, name: str, stage: Callable[[Say], _T], /) -> _T:
        """Run a stage and keep its name and what it said."""
        self.stages.append(name)
        return stage(self.said.append)

    def retrain(
        self,
        trigger_id: str,
        session: str,
        action: RetrainAction,
        *,
        model: str = "atoms",
        first_sequence: int = 0,
    ) -> Ending:
        """Carry a retraining out that a person asked for."""
        request = RetrainRequest(
            trigger_id=trigger_id, model=model, session=session, first_sequence=first_sequence
        )
        return retrain(self.site, request, action, self.executor, self.run_stage)

    def versions(self, model: str = "atoms") -> list[int]:
        """Numbers of what is registered, newest first."""
        return [version.version for version in self.site.registry.versions(model)]


@contextmanager
def running_mlflow(settings: Settings) -> Iterator[None]:
    """The MLflow server that the settings name."""
    server = mlflow_server(settings.home / "mlflow", port=int(settings.hub.mlflow_url.rpartition(":")[2]))
    log = settings.logs / "mlflow.log"
    process = None
    try:
        with with_made_database(settings.home / "mlflow" / "mlflow.sqlite"):
            process = ManagedProcess("mlflow", server.command, log=log, environment=server.environment)
            process.wait_ready(server.is_healthy, timeout_s=300)
        yield
    finally:
        if process is not None:
            process.stop()
