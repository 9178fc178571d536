"""A hub in small with a dashboard before it: MLflow, Prefect and the flow service, each a process.

One per session of tests. What a test needs of models, runs, policies and recordings it puts there itself,
under names of its own. Any service can be stopped and started again.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image

from eucentric_core import DatasetManifest, ManagedProcess, Role, Settings, load_settings, utc_now
from eucentric_core.transport import find_free_port
from eucentric_dashboard.login import People
from eucentric_data_repository import Registrar, RepositoryFolders, ingest_once, open_catalogue
from eucentric_flows import RunRecord, prefect_server, runs_path
from eucentric_model_registry import (
    KeyFolder,
    PageHeader,
    Registry,
    SideBySide,
    Verdict,
    build_and_sign_bundle,
    comparison_page,
    create_trust,
    load_signer,
    mlflow_server,
    move_champion,
)
from eucentric_model_registry._figures import Figure, Figures
from eucentric_model_registry._judge import GateCheck
from eucentric_models import DEMO_CONDITIONS

from ...flows.recorded_session import register_session
from ...model_registry.contents import make_content
from ...servers.made_databases import DATABASES, with_made_database

__all__ = ["PASSWORD", "PEOPLE", "WorkSite", "evidence_html", "speckle_png"]

PASSWORD = "correct horse battery"  # noqa: S105 - of tests
PEOPLE = {"ana": Role.OPERATOR, "ben": Role.OPERATOR, "sam": Role.SCIENTIST, "vic": Role.VIEWER}
"""Who has an account, and may do what."""

_START_TIMEOUT_S = 300.0
_PORTS = (
    "agent",
    "agent_data",
    "edge",
    "edge_data",
    "repository",
    "repository_data",
    "prefect",
    "mlflow",
    "web",
)


class WorkSite:
    """What runs, by name: `mlflow`, `prefect`, `flows`, `dashboard`. There is no instrument and no edge.

    Args:
        folder: for the home folder and the settings.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: find_free_port() for name in _PORTS}
        self.config = folder / "eucentric.toml"
        self.config.write_text(self._toml())
        self.settings: Settings = load_settings(self.config, environment={})
        self.settings.policies_path.mkdir(parents=True)
        self.keys = KeyFolder.of(self.settings)
        self.trusted = create_trust(self.keys, self.settings.releases_path)
        self.url = f"http://127.0.0.1:{self.ports['web']}"
        people = People.of(self.settings)
        for name, role in PEOPLE.items():
            people.accounts.add(name, role, PASSWORD)
        people.close()
        self._processes: dict[str, ManagedProcess] = {}

    def _toml(self) -> str:
        lines = [
            f'home = "{self.folder / "home"}"',
            f'[hub]\nprefect_api_url = "http://127.0.0.1:{self.ports["prefect"]}/api"',
            f'mlflow_url = "http://127.0.0.1:{self.ports["mlflow"]}"',
            '[hpc]\nexecutor = "processes"\nworkers = 1',
            f"[dashboard]\nport = {self.ports['web']}",
        ]
        for role in ("agent", "edge", "repository"):
            data = self.ports[f"{role}_data"]
            lines.append(f"[{role}]\ncontrol_port = {self.ports[role]}\ndata_port = {data}")
        return "\n".join(lines)

    def start(self, name: str) -> None:
        """Start a service, unless it runs, and wait until it is ready."""
        if name in self._processes:
            return
        log = self.settings.logs / f"{name}.out"
        if name in ("prefect", "mlflow"):
            server = (
                prefect_server(self.settings)
                if name == "prefect"
                else mlflow_server(self.settings.home / "mlflow", port=self.ports["mlflow"])
            )
            database = self.settings.home / name / DATABASES[name]
            with with_made_database(database):
                process = ManagedProcess(name, server.command, log=log, environment=server.environment)
                self._processes[name] = process
                process.wait_ready(server.is_healthy, timeout_s=_START_TIMEOUT_S)
            return
        ready = self.settings.home / "run" / f"{name}.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", f"eucentric_{name}", "serve", "--config", str(self.config)]
        self._processes[name] = process = ManagedProcess(name, command, log=log)
        process.wait_ready(ready.exists, timeout_s=_START_TIMEOUT_S)

    def running(self, name: str) -> bool:
        """Whether a service was started, and not stopped."""
        return name in self._processes

    def stop(self, name: str) -> None:
        """Stop a service and wait until it has gone."""
        self._processes.pop(name).stop()

    def stop_all(self) -> None:
        """Stop what runs, the last started first."""
        while self._processes:
            self._processes.popitem()[1].stop()

    @property
    def registry(self) -> Registry:
        """The catalogue of models."""
        return Registry(self.settings.hub.mlflow_url, self.trusted)

    @property
    def runs(self) -> RunRecord:
        """The record of runs; close it."""
        return RunRecord(runs_path(self.settings))

    def register(self, model: str, versions: Sequence[int], *, f1: float = 0.9) -> None:
        """Build, sign and register versions of a model of random networks."""
        for version in versions:
            folder = self.folder / f"bundle-{uuid4().hex[:8]}"
            content = make_content(
                name=model,
                version=version,
                trigger_id=f"{model}-t{version}",
                metrics={"f1": f1 + version / 100, "recall": f1, "calibration_error": 0.05 / version},
            )
            build_and_sign_bundle(folder, content, load_signer(self.keys.signing))
            self.registry.register(model, folder)

    def attach_evidence(self, model: str, version: int, champion: int) -> None:
        """Store the page on which a version was judged."""
        folder = self.folder / f"evidence-{uuid4().hex[:8]}"
        folder.mkdir()
        (folder / "comparison.html").write_text(evidence_html(model, version, champion))
        self.registry.attach_evidence(model, version, folder)

    def promote(self, model: str, version: int, *, reason: str = "better", who: str = "ana") -> None:
        """Make a version champion; no edge answers here."""
        move_champion(self.settings, self.registry, model, version, reason=reason, who=who)

    def record(self, session: str, frames: int, *, complete: bool = True) -> str:
        """Have the repository take a SIMULATED session in; returns its data set."""
        root = self.settings.repository_path
        register_session(root, session, frames, DEMO_CONDITIONS.drifted, shape=(64, 64), seed=len(session))
        with open_catalogue(self.settings) as catalogue:
            shards = tuple(entry.shard for entry in catalogue.shards(session=session))
        if complete:
            manifest = DatasetManifest(
                instrument="microscope-1", session=session, shards=shards, closed_utc=utc_now()
            )
            folders = RepositoryFolders(root)
            (folders.incoming / f"{manifest.dataset_id}.dataset.json").write_text(manifest.model_dump_json())
            registrar = Registrar(folders.database, registered_by="repository-1")
            ingest_once(root, registrar)
            registrar.close()
        return f"microscope-1.{session}"


def evidence_html(model: str, version: int, champion: int) -> str:
    """A page such as a judgement leaves, with two images."""
    header = PageHeader(model, f"v{version}", f"v{champion}", ("trained on 32 frames",))
    check = GateCheck(
        name="f1", passed=True, measured=0.93, limit=0.71, unit="", sentence="F1 0.93 is better than 0.71"
    )
    verdict = Verdict(accepted=True, checks=(check,), sentence="Accepted: F1 on recent frames 0.71 -> 0.93.")
    figures = Figures(holdouts={"recent": {"f1": Figure(value=0.93, support=8)}})
    pairs = [
        SideBySide(
            f"held-out image {number}", speckle_png(number), "challenger: 61 found",
            speckle_png(number + 9), "champion: 38 found",
        )
        for number in (1, 2)
    ]  # fmt: skip
    return comparison_page(header, verdict, figures, None, pairs)


def speckle_png(seed: int) -> bytes:
    """A picture of blurred noise, PNG."""
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((256, 192), Image.Resampling.BICUBIC).save(buffer, format="PNG")
    return buffer.getvalue()
