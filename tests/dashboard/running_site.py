"""A small site as an operator would start it: a SIMULATED microscope, an edge, the dashboard, each a process.

One per session of tests. A test that stops a service starts it again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from securesystemslib.signer import CryptoSigner

from eucentric_core import Lineage, ManagedProcess, Settings, SteeringClient, connect, load_settings
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_core.vocabulary import BeamUnblank, ScanStream, SessionStart, SessionStop
from eucentric_model_registry import BundleContent, build_and_sign_bundle, trusted_keys_of
from eucentric_models import Decoding, DriftReference, NetworkSpec, Preprocessing
from eucentric_models.engines import read_description, shipped_folder

__all__ = ["RunningSite", "scanning"]

_START_TIMEOUT_S = 120.0
_COMMANDS = {
    "agent": ("eucentric_agents", "run"),
    "edge": ("eucentric_edge", "serve"),
    "dashboard": ("eucentric_dashboard", "serve"),
}
_SIDE_PX = 256

OPEN = 'login = "none"\nopen_role = "scientist"'
"""Nobody logs in, and whoever comes may steer."""


class RunningSite:
    """What runs, by name: `agent`, `edge`, `dashboard`.

    Args:
        folder: for the home folder and the settings.
        more: lines for the section `[dashboard]` of the settings.
        beside: another site whose microscope and edge this one's dashboard shows.
        name: of the microscope.
    """

    def __init__(
        self, folder: Path, *, more: str = OPEN, beside: RunningSite | None = None, name: str = "titan"
    ) -> None:
        self.folder = folder
        ports = [find_free_port() for _ in range(5)]
        if beside is not None:
            agent, edge = beside.settings.agent, beside.settings.edge
            ports[:4] = agent.control_port, agent.data_port, edge.control_port, edge.data_port
        self.config = folder / "eucentric.toml"
        self.config.write_text(
            f'home = "{folder / "home"}"\n'
            f'[agent]\nname = "{name}"\ncontrol_port = {ports[0]}\ndata_port = {ports[1]}\n'
            f"[edge]\ncontrol_port = {ports[2]}\ndata_port = {ports[3]}\n"
            f"[dashboard]\nport = {ports[4]}\n{more}\n"
        )
        self.settings: Settings = load_settings(self.config, environment={})
        self.url = f"http://127.0.0.1:{ports[4]}"
        self._processes: dict[str, ManagedProcess] = {}
        self._signer = CryptoSigner.generate_ed25519()

    def start(self, name: str, *prefix: str) -> None:
        """Start a service, behind a program such as `nice`, and wait until it says that it is ready."""
        module, *words = _COMMANDS[name]
        if name == "edge":
            keys = self.settings.trusted_keys_path
            keys.parent.mkdir(parents=True, exist_ok=True)
            keys.write_text(trusted_keys_of(self._signer).model_dump_json())
        ready = self.settings.home / "run" / f"{name}.json"
        ready.unlink(missing_ok=True)
        command = [*prefix, sys.executable, "-m", module, *words, "--config", str(self.config)]
        process = ManagedProcess(name, command, log=self.settings.logs / f"{name}.out")
        self._processes[name] = process
        process.wait_ready(ready.exists, timeout_s=_START_TIMEOUT_S)

    def stop(self, name: str) -> None:
        """Stop a service and wait until it has gone."""
        self._processes.pop(name).stop()

    def stop_all(self) -> None:
        """Stop what runs, the last started first."""
        while self._processes:
            self._processes.popitem()[1].stop()

    def install_model(self) -> None:
        """Have the edge serve the model of atomic columns that is shipped with the package."""
        folder = self.folder / "bundle"
        source = shipped_folder("columns")
        shipped = read_description(source)
        assert shipped.drift_reference is not None
        content = BundleContent(
            name=self.settings.edge.model,
            version=1,
            material="mos2",
            classes=shipped.classes,
            network=NetworkSpec.model_validate(shipped.network),
            preprocessing=Preprocessing.model_validate(shipped.preprocessing),
            decoding=Decoding.model_validate(shipped.decoding),
            members=tuple((source / name).read_bytes() for name in shipped.members),
            drift_reference=DriftReference.model_validate_json(
                (source / shipped.drift_reference).read_bytes()
            ),
            golden_frames=(np.load(source / shipped.golden[0].frame, allow_pickle=False),),
            metrics={"f1": 0.9},
            lineage=Lineage(
                datasets=("twin.s1",),
                code_version="0.1.0",
                trigger_id="by-hand",
                policy="none",
                run_id="run-1",
            ),
        )
        build_and_sign_bundle(folder, content, self._signer)
        edge = self.settings.edge
        control = PyroControlClient(edge.host, edge.control_port, timeout_s=60)
        try:
            control.call("install", {"folder": str(folder)})
        finally:
            control.close()

    def scope(self, client: str = "notebook") -> SteeringClient:
        """Steer the microscope from outside the dashboard; close it."""
        agent = self.settings.agent
        return connect(agent.host, agent.control_port, client=client, data_port=agent.data_port)


@contextmanager
def scanning(
    site: RunningSite, *, side_px: int = _SIDE_PX, frames_per_s: float = 10.0, session: str = "look"
) -> Iterator[SteeringClient]:
    """Scan frame after frame in a session, as somebody at a notebook would; blanked and ended at the end."""
    with site.scope() as scope, scope.control(reason="tests"):
        scope.execute(SessionStart(session=session, material="mos2"))
        scope.execute(BeamUnblank(max_duration_s=60))
        scope.execute(ScanStream(height_px=side_px, width_px=side_px, max_frames_per_s=frames_per_s))
        try:
            yield scope
        finally:
            scope.safe_stop()
            scope.execute(SessionStop())
