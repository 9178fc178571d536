"""The whole way by Globus, its services SIMULATED: shards by Transfer, training by Compute, a champion."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from eucentric.cli import main
from eucentric_agents.recording import Journal, Shipper
from eucentric_core import Event, GlobusSettings, ManagedProcess, Settings, load_settings
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_data_repository import Registrar, RepositoryFolders, ingest_once
from eucentric_hpc import open_executor
from eucentric_model_registry import KeyFolder, create_trust
from eucentric_models import MATERIALS, simulate_frames

from ..frames import frame_around
from ..servers.globus import GlobusEmulator
from ..transfer.globus_site import Site
from .hub import running_mlflow
from .test_closing_the_loop import ACTION, SMALL, AtomsHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("nightly")]
FRAMES = 32


@pytest.fixture
def collections(globus_emulator: GlobusEmulator, tmp_path: Path) -> Iterator[Site]:
    site = Site(globus_emulator, tmp_path)
    yield site
    site.close()


def record(site: Site) -> list[Event]:
    """Frames of drifted conditions at the control PC, sealed, shipped by Globus Transfer, and registered."""
    folders = RepositoryFolders(site.root)
    folders.make()
    journal = Journal(site.near / "base" / "recording", frames_per_shard=8, min_free_bytes=0)
    events: list[Event] = []
    registrar = Registrar(folders.database, registered_by="repository-1")
    try:
        simulated = simulate_frames("mos2", SMALL.drifted, FRAMES, SMALL.shape, np.random.default_rng(1))
        for sequence, one in enumerate(simulated):
            for stream, array in (("haadf", one.frame), ("truth", one.truth.astype(np.float32))):
                journal.append(
                    frame_around(
                        array,
                        sequence,
                        stream,
                        pixel_size_m=SMALL.drifted.pixel_size_m,
                        instrument="microscope-1",
                        session="drifted",
                        dose_e_per_a2=1.0,
                        classes=() if stream == "haadf" else MATERIALS["mos2"].classes,
                    )
                )
        journal.stop_session("microscope-1", "drifted", frames=FRAMES)
        shipper = Shipper(journal, site.mover(), publish=events.append)
        for _ in range(3):
            shipper.ship_once()
            ingest_once(folders.root, registrar)
        shipper.ship_once()
        # Receipts came back by Globus, too: nothing is kept at the control PC any more.
        assert sorted(journal.folders.shards.glob("*.h5")) == []
    finally:
        registrar.close()
        journal.close()
    return events


def test_from_the_microscope_to_a_better_model_in_service(
    globus_emulator: GlobusEmulator, collections: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ..servers.globus_compute import running_compute

    assert record(collections) == []
    (tmp_path / "compute").mkdir()
    with ExitStack() as stack:
        site, globus = stack.enter_context(running_compute(globus_emulator, tmp_path / "compute"))
        registered = registered_function(tmp_path, globus, capsys)
        # The endpoint's list of allowed functions holds one; every task of the training goes through it.
        site.write_text(site.read_text() + f'function = "{registered}"\n')
        machine = settings_of(tmp_path, collections, site)
        create_trust(KeyFolder.of(machine), machine.releases_path)
        stack.enter_context(running_mlflow(machine))
        edge = start_edge(machine)
        stack.callback(edge.stop)
        executor = stack.enter_context(open_executor(machine.hpc, machine.logs / "hpc", globus=globus))
        edge.wait_ready((machine.home / "run" / "edge.json").exists, timeout_s=300)
        hub = AtomsHub(machine, executor)
        stack.callback(hub.site.outbox.close)
        assert hub.bootstrap("bootstrap-1").version == 1
        ending = hub.retrain("by-globus", "drifted", ACTION)
        assert (ending.outcome, ending.version) == ("promoted", 2), ending.reason
        client = PyroControlClient(machine.edge.host, machine.edge.control_port, timeout_s=60)
        assert client.call("status", {})["model_version"] == 2
        client.close()
    assert collections.transfers() > 0


def registered_function(folder: Path, globus: GlobusSettings, capsys: pytest.CaptureFixture[str]) -> str:
    """As the person who sets the facility up gets it."""
    config = folder / "globus.toml"
    config.write_text(
        f'home = "{folder / "home"}"\n[globus]\nclient_id = "{globus.client_id}"\napp = "service"\n'
        f'secret_file = "{globus.secret_file}"\nfolder = "{globus.folder}"\n'
    )
    capsys.readouterr()
    command = ["globus", "register-function", "--config", str(config), "--json"]
    assert main([*command, "--training"]) == 0
    training = json.loads(capsys.readouterr().out)["function_id"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["function_id"] != training
    return str(training)


def settings_of(folder: Path, collections: Site, site: Path) -> Settings:
    ports = {"control_port": find_free_port(), "data_port": find_free_port()}
    return load_settings(
        flags={
            "home": str(folder / "hub"),
            "edge": ports,
            "repository": {"root": str(collections.root)},
            "hub": {"mlflow_url": f"http://127.0.0.1:{find_free_port()}"},
            "hpc": {"executor": "globus-compute", "workers": 2, "site": str(site)},
        },
        environment={},
    )


def start_edge(machine: Settings) -> ManagedProcess:
    config = machine.home / "eucentric.toml"
    ports = f"control_port = {machine.edge.control_port}\ndata_port = {machine.edge.data_port}"
    config.write_text(f'home = "{machine.home}"\n[edge]\n{ports}\n')
    command = [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)]
    return ManagedProcess("edge", command, log=machine.logs / "edge.log")
