"""A loop at a hub that runs: an edge, drifted frames, a first model, and the retraining that follows.

Also a program, for a machine that pytest itself is not on: `python -m tests.hub.one_loop CONFIG FOLDER`.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from eucentric_core import DriftDetected, ManagedProcess, Settings, load_settings
from eucentric_data_repository import Catalogue, database_of
from eucentric_flows import EventOutbox, RunRecord, RunView, outbox_path, runs_path
from eucentric_models import StartConditions

from ..flows.recorded_session import send_session
from ..loop_site import POLICY, SMALL

__all__ = ["WAIT_S", "edge_of", "first_model", "record_session", "run_of", "wait_registered", "write_policy"]

WAIT_S = 1200.0
FRAMES = 16


@contextmanager
def edge_of(settings: Settings, folder: Path) -> Iterator[None]:
    """An edge with a home of its own, which outlives the hub."""
    home = folder / "edge"
    (home / "keys").mkdir(parents=True, exist_ok=True)
    for name in ("root.json", "trusted-keys.json"):
        if not (home / "keys" / name).exists():
            shutil.copy(settings.home / "keys" / name, home / "keys" / name)
    config = folder / "edge.toml"
    config.write_text(
        f'home = "{home}"\n[edge]\ncontrol_port = {settings.edge.control_port}\n'
        f'data_port = {settings.edge.data_port}\nreleases = "{settings.releases_path}"\n'
        f"[agent]\ncontrol_port = {settings.agent.control_port}\ndata_port = {settings.agent.data_port}\n"
    )
    command = [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)]
    process = ManagedProcess("edge", command, log=folder / "edge.log")
    try:
        process.wait_ready((home / "run/edge.json").exists, timeout_s=WAIT_S)
        yield
    finally:
        process.stop()


def write_policy(settings: Settings) -> None:
    """Retrain at drift, at once and as often as it is reported."""
    settings.policies_path.mkdir(exist_ok=True)
    (settings.policies_path / "retrain-atoms.toml").write_text(POLICY.format(model="atoms"))


def record_session(settings: Settings) -> None:
    """Frames of drifted conditions arrive, and the hub's own repository registers them."""
    send_session(settings.repository_path, "drifted", FRAMES, SMALL.drifted, shape=SMALL.shape, seed=1)
    wait_registered(settings, FRAMES)


def wait_registered(settings: Settings, frames: int) -> None:
    """Until so many frames stand in the hub's catalogue."""
    deadline = time.monotonic() + WAIT_S
    with closing(Catalogue(database_of(settings))) as catalogue:
        while sum(entry.frames for entry in catalogue.datasets()) < frames:
            if time.monotonic() > deadline:
                raise TimeoutError(f"registered: {catalogue.datasets()}")
            time.sleep(0.2)


def first_model(settings: Settings, folder: Path) -> None:
    """Train version 1 and have the edge serve it."""
    conditions = folder / "conditions.json"
    conditions.write_text(SMALL.model_dump_json(include=set(StartConditions.model_fields)))
    command = [
        *(sys.executable, "-m", "eucentric_flows", "bootstrap"),
        *("--config", str(settings.home / "hub/eucentric.toml")),
        *("--conditions", str(conditions), "--members", "2", "--steps", "60"),
    ]
    process = ManagedProcess("bootstrap", command, log=folder / "bootstrap.log")
    try:
        process.wait_finished(timeout_s=WAIT_S)
    finally:
        process.stop()


def run_of(settings: Settings, source: str) -> RunView:
    """Let a drift arrive and see its run to the end."""
    event = DriftDetected(
        source=source, instrument="microscope-1", session="drifted", first_sequence=0, sequence=8,
        drift_score=4.0, quality_score=0.4, model_name="atoms", model_version=1, material="mos2",
    )  # fmt: skip
    with closing(EventOutbox(outbox_path(settings))) as outbox:
        outbox.add(event)
    deadline = time.monotonic() + WAIT_S
    with RunRecord(runs_path(settings)) as record:
        while (view := record.known(event.id)) is None or not view.over:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the run did not end: {view}")
            time.sleep(0.2)
    return view


def main(config: Path, folder: Path) -> None:
    """Carry one loop out, and print how its run ended."""
    settings = load_settings(config)
    with edge_of(settings, folder):
        record_session(settings)
        first_model(settings, folder)
        run = run_of(settings, "edge-1")
    sys.stdout.write(json.dumps({"state": run.state, "version": run.version, "reason": run.reason}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
