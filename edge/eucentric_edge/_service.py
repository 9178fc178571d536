"""The edge service: frames in, results out, models installed beside it."""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import zmq
from pydantic import Field, JsonValue

from eucentric_core import (
    EucentricError,
    FrozenModel,
    ModelInstalled,
    ModelRefused,
    Role,
    ServiceLifetime,
    Settings,
    TransportError,
    agent_data_access,
    service_about,
)
from eucentric_core.transport import (
    DataServer,
    KeyedService,
    Methods,
    PyroControlServer,
    StreamPublisher,
    open_pacer,
)

from ._backend_choice import BackendChoice
from ._frame_worker import FrameWorker
from ._installer import Installation, Installer
from ._measure_method import measure_methods
from ._metrics import serving_metrics
from ._model_slot import ModelSlot
from ._models import Models
from ._open_trust import open_trust
from ._release_watch import ReleaseWatch
from ._serving_model import ServingModel
from ._shadow import Shadow
from ._statistics import Statistics
from ._trial_methods import trial_methods
from ._tune_command import RECORDS_FILE

__all__ = ["EdgeService"]

_INGEST = "inproc://edge-results"
_PUBLISH_TIMEOUT_S = 2.0
_STOP_TIMEOUT_S = 5.0
_NEEDED = dict.fromkeys(("challenge", "install", "look", "measure", "rollback", "support"), Role.SCIENTIST)

_log = logging.getLogger(__name__)


class InstallRequest(FrozenModel):
    """Answer of `install`: `Installation`."""

    folder: Path


class LookRequest(FrozenModel):
    """Look for a newer release now.

    Attributes:
        again: a person promoted it: take it also if this edge went back from it.
    """

    again: bool = False


class RollbackRequest(FrozenModel):
    """Answer of `rollback`: `Installation`."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class EdgeService:
    """One edge. `run` serves until it is told to stop.

    Args:
        settings: of this machine; the agent section says where the frames come from.

    Raises:
        ConfigurationError: no trusted keys, a damaged state file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slot = ModelSlot()
        self._statistics = Statistics()
        self._models = Models(
            BackendChoice(
                name=settings.edge.backend,
                threads=settings.edge.threads,
                batch=settings.edge.batch,
                records=settings.home / "edge" / RECORDS_FILE,
            )
        )
        self._trust, self._releases = open_trust(settings)
        self._installer = Installer(
            settings.home / "edge",
            self._trust,
            model_name=settings.edge.model,
            slot=self._slot,
            opener=self._models,
        )
        self._shadow = Shadow(settings.edge.shadow_share)
        self._watch: ReleaseWatch | None = None

    def run(self, lifetime: ServiceLifetime) -> None:
        """Open both channels, put the last good model in service and analyse frames until the stop.

        Raises:
            ConfigurationError: a port is in use, a certificate cannot be used, or the edge is to be reached
                from other machines without one.
        """
        edge, agent, link = self._settings.edge, self._settings.agent, self._settings.link
        with ExitStack() as stack:
            self._models.start()
            stack.callback(self._models.close)
            keyed = stack.enter_context(KeyedService("edge", edge.host, edge.channel_tls))
            context: zmq.Context[zmq.Socket[bytes]] = stack.enter_context(zmq.Context())
            data = DataServer(
                host=edge.host,
                port=edge.data_port,
                ingest_endpoint=_INGEST,
                context=context,
                keys=keyed.ring,
                pacer=open_pacer(link, home=self._settings.home),
                bulk_dscp=link.bulk_dscp,
            )
            stack.enter_context(_serving(data.serve, data.stop, "edge-data"))
            publisher = StreamPublisher(_INGEST, context=context, timeout_s=_PUBLISH_TIMEOUT_S)
            stack.callback(publisher.close)
            worker = FrameWorker(
                edge,
                (agent.host, agent.data_port),
                self._slot,
                publisher,
                self._statistics,
                context=context,
                access=agent_data_access(self._settings, client=edge.name),
                answered=self._shadow.answered,
                restore=partial(self._restore, publisher),
            )
            stack.enter_context(_serving(self._shadow.run, self._shadow.stop, "edge-shadow"))
            watch = self._watch = self._release_watch(worker, publisher)
            control = PyroControlServer(
                keyed.methods_for(self._methods(worker, publisher, watch), needed=_NEEDED),
                host=edge.host,
                port=edge.control_port,
                credentials=edge.channel_tls,
            )
            for error in self._installer.start():
                self._announce_refusal(publisher, error)
            stack.enter_context(_serving(control.serve, control.stop, "edge-control"))
            if watch is not None:
                stack.enter_context(self._watching(watch))
            ports = {"control_port": edge.control_port, "data_port": edge.data_port}
            if edge.metrics_port is not None:
                metrics = serving_metrics(edge.host, edge.metrics_port, lambda: self._status(worker))
                ports["metrics_port"] = stack.enter_context(metrics)
            lifetime.announce_ready(ports)
            worker.run(lifetime.stopping)

    def _restore(
        self, publisher: StreamPublisher, lost: ServingModel, frame_shape: tuple[int, ...] | None
    ) -> None:
        for error in self._installer.restore(lost, frame_shape=frame_shape):
            self._announce_refusal(publisher, error)

    def _release_watch(self, worker: FrameWorker, publisher: StreamPublisher) -> ReleaseWatch | None:
        if self._releases is None:
            return None
        return ReleaseWatch(
            self._releases.trust,
            self._releases.metadata,
            self._releases.source,
            self._installer,
            folder=self._settings.home / "edge" / "fetched",
            frame_shape=lambda: worker.frame_shape,
            installed=lambda installation: self._announce(publisher, installation),
            refused=lambda error: self._announce_refusal(publisher, error),
        )

    @contextmanager
    def _watching(self, watch: ReleaseWatch) -> Iterator[None]:
        stopping, every_s = threading.Event(), self._settings.edge.release_poll_s

        def stop() -> None:
            stopping.set()
            watch.wake()

        with _serving(lambda: watch.run(stopping, every_s=every_s), stop, "edge-releases"):
            yield

    def _methods(
        self, worker: FrameWorker, publisher: StreamPublisher, watch: ReleaseWatch | None
    ) -> Methods:
        def install(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
            request = InstallRequest.model_validate(payload)
            try:
                installation = self._installer.install(request.folder, frame_shape=worker.frame_shape)
            except EucentricError as error:
                self._announce_refusal(publisher, error)
                raise
            return self._announce(publisher, installation)

        def rollback(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
            request = RollbackRequest.model_validate(payload)
            _log.warning("rollback asked for: %s", request.reason)
            return self._announce(publisher, self._installer.rollback(frame_shape=worker.frame_shape))

        def look(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
            request = LookRequest.model_validate(payload)
            installation = None if watch is None else watch.look(again=request.again)
            if watch is not None and watch.refusal is not None:
                raise watch.refusal
            return {
                "installed": None if installation is None else installation.model_dump(mode="json"),
                "model_version": self._installer.state.current,
                "releases": self._trust.report(),
            }

        return {
            "look": look,
            "ping": lambda _: self._identity(),
            "about": lambda _: self._about(),
            "status": lambda _: self._status(worker),
            "install": install,
            "rollback": rollback,
            **trial_methods(
                self._settings,
                self._installer,
                self._slot,
                self._shadow,
                self._releases,
                frame_shape=lambda: worker.frame_shape,
                refused=lambda error: self._announce_refusal(publisher, error),
            ),
            **measure_methods(
                self._settings,
                self._installer,
                self._slot,
                self._releases,
                frame_shape=lambda: worker.frame_shape,
            ),
        }

    def _identity(self) -> dict[str, JsonValue]:
        return {
            "service": "edge",
            "version": importlib.metadata.version("eucentric"),
            "state": "no model" if self._slot.model is None else "serving",
        }

    def _about(self) -> dict[str, JsonValue]:
        state = str(self._identity()["state"])
        about = service_about("edge", state, self._settings.home, self._settings.edge.tls)
        return about.model_dump(mode="json")

    def _status(self, worker: FrameWorker) -> dict[str, JsonValue]:
        model, installed = self._slot.model, self._installer.state
        return {
            **self._identity(),
            "name": self._settings.edge.name,
            "device": self._models.device,
            "backend": None if model is None else model.backend,
            "engine": None if model is None else model.manifest.engine,
            "classes": None if model is None else list(model.model.description.classes),
            "challenger": self._shadow.report(),
            "model_name": installed.model_name,
            "model_version": None if model is None else model.manifest.version,
            "previous_version": installed.previous,
            "highest_version": installed.highest,
            "release_number": None if installed.current_release is None else installed.current_release.number,
            "releases": {
                **self._trust.report(),
                "trouble": None if self._watch is None else self._watch.trouble,
            },
            "source_stream": self._settings.edge.source_stream,
            **worker.report(),
            **self._statistics.report(),
        }

    def _announce(self, publisher: StreamPublisher, installation: Installation) -> dict[str, JsonValue]:
        event = ModelInstalled(
            source=self._settings.edge.name,
            model_name=self._settings.edge.model,
            model_version=installation.version,
            previous_version=installation.previous_version,
            swap_s=installation.swap_s,
            **({} if installation.trace_id is None else {"trace_id": installation.trace_id}),
        )
        _publish_event(publisher, event)
        return installation.model_dump(mode="json")

    def _announce_refusal(self, publisher: StreamPublisher, error: EucentricError) -> None:
        _log.error("model refused: %s", error)
        _publish_event(publisher, ModelRefused(source=self._settings.edge.name, error=error.report()))


def _publish_event(publisher: StreamPublisher, event: ModelInstalled | ModelRefused) -> None:
    try:
        publisher.publish_event(event)
    except TransportError as error:
        # What was done stays done: the caller hears of it, and so does everyone who asks for the status.
        _log.error("event %s was not published: %s", event.kind, error)


@contextmanager
def _serving(serve: Callable[[], None], stop: Callable[[], None], name: str) -> Iterator[None]:
    thread = threading.Thread(target=serve, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(timeout=_STOP_TIMEOUT_S)
