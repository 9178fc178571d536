"""A whole site: Prefect, MLflow, edge and flow service as processes, a tiny model, and a SIMULATED scan.

The test or benchmark itself plays the data channel of the agent, so that it knows when an event left. Where
the agent matters it is a real one, steered by the test, and events go straight to the flow service's outbox.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from eucentric_core import AnyEvent, DriftDetected, ManagedProcess, SessionStopped, Settings, load_settings
from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_flows import EventOutbox, RunRecord, RunView, outbox_path, prefect_server, runs_path
from eucentric_model_registry import KeyFolder, create_trust, mlflow_server
from eucentric_models import DEMO_CONDITIONS, NetworkSpec, StartConditions, simulate_frames

from .data_channel import data_channel
from .flows.recorded_session import register_session
from .frames import frame_around
from .loop_agent import scanning
from .prefect_api import ask_prefect
from .servers.http_relay import Relay, running_relay
from .servers.made_databases import DATABASES, with_made_database

__all__ = ["LoopSite", "loop_site"]

SMALL = DEMO_CONDITIONS.model_copy(
    update={
        "shape": (128, 128),
        "start_frames": 20,
        "start_steps": 60,
        "network": NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4),
    }
)
POLICY = """
schema_version = 2
name = "retrain-{model}"
model = "{model}"
[trigger]
kind = "drift"
[guards]
cooldown_s = 0
max_runs_per_day = 1000
[action]
kind = "retrain"
material = "mos2"
members = 2
steps = 10
frames = 8
replay_frames = 4
gather_timeout_s = 5
[action.gates]
min_f1_gain_on_recent = 0.0
max_f1_loss_on_start = 1.0
min_class_f1 = 0.0
max_calibration_error = 1.0
max_position_rmse_m = 1e-9
"""
_FRAMES_PER_S = 10.0
_TIMEOUT_S = 600.0
_PORTS = ("agent", "agent_data", "edge", "edge_data", "repository", "repository_data", "prefect", "mlflow")


class LoopSite:
    """What runs, by name: `prefect`, `mlflow`, `edge`, `flows`. Each can be killed and started again."""

    def __init__(
        self,
        folder: Path,
        models: tuple[str, ...],
        relays: Mapping[str, Relay],
        executor: str,
        steered: bool,
    ) -> None:
        self.folder = folder
        self.models = models
        self.relays = relays
        self.executor = executor
        self.steered = steered
        self.ports = {name: find_free_port() for name in _PORTS}
        self.config = folder / "eucentric.toml"
        self.config.write_text(self._toml())
        self.settings: Settings = load_settings(self.config, environment={})
        self.settings.policies_path.mkdir(parents=True, exist_ok=True)
        for model in models:
            (self.settings.policies_path / f"retrain-{model}.toml").write_text(POLICY.format(model=model))
        if not self._founded.exists():
            create_trust(KeyFolder.of(self.settings), self.settings.releases_path)
            register_session(
                self.settings.repository_path, "drifted", 16, SMALL.drifted, shape=SMALL.shape, seed=1
            )
            self._founded.touch()
        self._processes: dict[str, ManagedProcess] = {}
        self._lock = threading.Lock()
        self.publisher: StreamPublisher | None = None

    @property
    def _founded(self) -> Path:
        return self.folder / "founded"

    def _toml(self) -> str:
        urls = {name: f"http://127.0.0.1:{self.ports[name]}" for name in ("prefect", "mlflow")}
        urls |= {name: relay.url for name, relay in self.relays.items()}
        lines = [
            f'home = "{self.folder / "home"}"',
            f'[hub]\nprefect_api_url = "{urls["prefect"]}/api"\nmlflow_url = "{urls["mlflow"]}"',
            f'[hpc]\nexecutor = "{self.executor}"\nworkers = 2',
        ]
        for role in ("agent", "edge", "repository"):
            data = self.ports[f"{role}_data"]
            lines.append(f"[{role}]\ncontrol_port = {self.ports[role]}\ndata_port = {data}")
        if self.steered:
            lines.append("[agent.driver]\nseed = 5")
        return "\n".join(lines)

    def start(self, name: str) -> None:
        """Start a service and wait until it is ready."""
        logs = self.settings.logs
        if name in ("prefect", "mlflow"):
            direct = load_settings(
                self.config,
                flags={"hub": {"prefect_api_url": f"http://127.0.0.1:{self.ports['prefect']}/api"}},
                environment={},
            )
            server = (
                prefect_server(direct)
                if name == "prefect"
                else mlflow_server(self.settings.home / "mlflow", port=self.ports["mlflow"])
            )
            log, environment = logs / f"{name}.log", server.environment
            database = self.settings.home / name / DATABASES[name]
            with with_made_database(database):
                process = ManagedProcess(name, server.command, log=log, environment=environment)
                self._processes[name] = process
                process.wait_ready(server.is_healthy, timeout_s=300)
            return
        ready = self.settings.home / "run" / f"{name}.json"
        ready.unlink(missing_ok=True)
        module, verb = ("agents", "run") if name == "agent" else (name, "serve")
        self._processes[name] = process = self._ours(module, verb)
        process.wait_ready(ready.exists, timeout_s=300)

    def _ours(self, name: str, *words: str) -> ManagedProcess:
        command = [sys.executable, "-m", f"eucentric_{name}", *words, "--config", str(self.config)]
        return ManagedProcess(name, command, log=self.settings.logs / f"{name}.out")

    def kill(self, name: str) -> None:
        """kill -9, the process that was started only: what it started itself is left to itself."""
        process = self._processes[name]
        os.kill(process.pid, signal.SIGKILL)
        while process.running:
            time.sleep(0.02)

    def bootstrap(self) -> None:
        """Make version 1 of every model, unless that was done, and have the edge serve `atoms`."""
        conditions = self.folder / "conditions.json"
        conditions.write_text(SMALL.model_dump_json(include=set(StartConditions.model_fields)))
        words = ("--conditions", str(conditions), "--members", "2", "--steps", "60")
        for model in self.models:
            done = self.folder / f"first-{model}"
            if done.exists():
                continue
            command = [sys.executable, "-m", "eucentric_flows", "bootstrap", "--config", str(self.config)]
            command += ["--model", model, *words]
            process = ManagedProcess(f"bootstrap-{model}", command, log=self.settings.logs / "bootstrap.out")
            try:
                process.wait_finished(timeout_s=_TIMEOUT_S)
            finally:
                process.stop()
            done.touch()

    def stop(self) -> None:
        """Stop what runs, the last started first."""
        for process in reversed(self._processes.values()):
            process.stop()

    def publish_frames(self, stopping: threading.Event) -> None:
        """Scan: frames of the drifted conditions, ten a second, until told to stop."""
        rng = np.random.default_rng(3)
        frames = [one.frame for one in simulate_frames("mos2", SMALL.drifted, 8, SMALL.shape, rng)]
        size_m = SMALL.drifted.pixel_size_m
        for sequence in itertools.count():
            if stopping.wait(1 / _FRAMES_PER_S) or self.publisher is None:
                return
            array = frames[sequence % len(frames)]
            frame = frame_around(
                array, sequence, pixel_size_m=size_m, instrument="microscope-1", session="live"
            )
            with self._lock:
                self.publisher.publish(frame.header, frame.array)

    def begin(self, model: str = "atoms") -> str:
        """Have the drift of a model reported; returns the trigger id."""
        event = DriftDetected(
            source="edge-1", instrument="microscope-1", session="drifted", first_sequence=0, sequence=8,
            drift_score=4.0, quality_score=0.4, model_name=model, model_version=1, material="mos2",
        )  # fmt: skip
        self.publish(event)
        return event.id

    def wait_heard(self) -> None:
        """Wait until the flow service hears what is published; for a while after its start it may not."""
        if self.steered:
            return  # events are in the outbox before it is started
        event = SessionStopped(source="scan", instrument="microscope-1", session="none", frames=0)
        deadline = time.monotonic() + _TIMEOUT_S
        heard = sqlite3.connect(outbox_path(self.settings), timeout=20)
        try:
            while not heard.execute("SELECT 1 FROM events WHERE id = ?", (event.id,)).fetchone():
                if time.monotonic() > deadline:
                    raise TimeoutError("the flow service hears nothing")
                self.publish(event)
                time.sleep(0.2)
        finally:
            heard.close()

    def publish(self, event: AnyEvent) -> None:
        """Have an event arrive."""
        if self.steered:
            with closing(EventOutbox(outbox_path(self.settings))) as outbox:
                outbox.add(event)
            return
        if self.publisher is None:
            raise RuntimeError("nothing is being scanned")
        with self._lock:
            self.publisher.publish_event(event)

    def view(self, trigger_id: str) -> RunView | None:
        """A run, if the record has it."""
        with RunRecord(runs_path(self.settings)) as record:
            return record.known(trigger_id)

    def wait(
        self, trigger_id: str, done: Callable[[RunView], bool], *, timeout_s: float = _TIMEOUT_S
    ) -> RunView:
        """The run once it is as wanted."""
        deadline = time.monotonic() + timeout_s
        with RunRecord(runs_path(self.settings)) as record:
            while (view := record.known(trigger_id)) is None or not done(view):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"run {trigger_id} did not come so far: {view}")
                time.sleep(0.05)
        return view

    def wait_prefect(self, flow_run_id: str, state: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait until Prefect shows a flow run in a state of this type."""
        url = f"{self.settings.hub.prefect_api_url}/flow_runs/{flow_run_id}"
        deadline = time.monotonic() + timeout_s
        while (shown := ask_prefect("GET", url)["state_type"]) != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Prefect shows flow run {flow_run_id} as {shown}, not as {state}")
            time.sleep(0.1)


@contextmanager
def loop_site(
    folder: Path,
    *,
    models: tuple[str, ...] = ("atoms",),
    relayed: bool = False,
    executor: str = "processes",
    steered: bool = False,
) -> Iterator[LoopSite]:
    """Start everything, make the first models, and scan.

    Args:
        folder: for the home folder and the settings; one of before goes on with its models.
        models: a first version and a policy are made for each.
        relayed: put relays before Prefect and MLflow, in `relays`.
        executor: that trains.
        steered: a real agent scans, `agent`, in place of the test itself.
    """
    with ExitStack() as stack:
        site = LoopSite(folder, models, {}, executor, steered)
        if relayed:
            relays = {
                name: stack.enter_context(running_relay(site.ports[name])) for name in ("prefect", "mlflow")
            }
            site.relays = relays
            site.config.write_text(site._toml())
            site.settings = load_settings(site.config, environment={})
        stack.callback(site.stop)
        for name in ("prefect", "mlflow", "edge"):
            site.start(name)
        site.bootstrap()
        site.start("flows")
        if steered:
            site.start("agent")
            dwell_time_s = SMALL.drifted.dwell_time_s
            stack.enter_context(scanning(site.settings.agent, shape=SMALL.shape, dwell_time_s=dwell_time_s))
            yield site
            return
        context: zmq.Context[Any] = stack.enter_context(zmq.Context())
        site.publisher = stack.enter_context(data_channel(context, site.ports["agent_data"], "scan"))
        stopping = threading.Event()
        publishing = threading.Thread(target=site.publish_frames, args=(stopping,))
        publishing.start()
        stack.callback(publishing.join)
        stack.callback(stopping.set)
        site.wait_heard()
        yield site
