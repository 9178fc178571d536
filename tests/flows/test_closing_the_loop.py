"""From start data to a first model in service, and from drifted frames to a better one; small networks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from eucentric_core import ManagedProcess, Settings, load_settings
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_data_repository import open_catalogue, provenance_tree, trace
from eucentric_flows import HeldError, NotEnoughFramesError
from eucentric_flows._first_training import bootstrap
from eucentric_flows._pipeline import Ending
from eucentric_flows.policy import RetrainAction
from eucentric_hpc import open_executor, start_training
from eucentric_model_registry import Gates, KeyFolder, ReleaseBook, create_trust
from eucentric_models import DEMO_CONDITIONS, NetworkSpec

from .hub import Hub, running_mlflow
from .recorded_session import register_session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_T = TypeVar("_T")

SMALL = DEMO_CONDITIONS.model_copy(
    update={
        "shape": (128, 128),
        "start_frames": 20,
        "start_steps": 90,
        "network": NetworkSpec(n_classes=3, base_filters=12, depth=1, stem_factor=4),
    }
)
# Small networks on few frames: the gates are those that they can pass.
ACTION = RetrainAction(
    members=2,
    steps=70,
    learning_rate=8e-3,
    frames=24,
    replay_frames=8,
    gather_timeout_s=1,
    gates=Gates(max_f1_loss_on_start=0.3, min_class_f1=0.0, max_calibration_error=0.5),
)


class AtomsHub(Hub):
    """A hub whose model finds atoms."""

    def bootstrap(self, trigger_id: str) -> Ending:
        return bootstrap(
            self.site,
            "atoms",
            SMALL,
            start_training(SMALL),
            trigger_id=trigger_id,
            members=2,
            installing=True,
            executor=self.executor,
            run_stage=self.run_stage,
        )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    ports = {"control_port": find_free_port(), "data_port": find_free_port()}
    settings = load_settings(
        flags={
            "home": str(tmp_path_factory.mktemp("hub")),
            "edge": ports,
            "hub": {"mlflow_url": f"http://127.0.0.1:{find_free_port()}"},
            "hpc": {"executor": "processes", "workers": 2},
        },
        environment={},
    )
    create_trust(KeyFolder.of(settings), settings.releases_path)
    return settings


@pytest.fixture(scope="module")
def hub(machine: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtomsHub]:
    """Registry, edge and workers of one machine, running."""
    config = machine.home / "eucentric.toml"
    edge = f"control_port = {machine.edge.control_port}\ndata_port = {machine.edge.data_port}"
    config.write_text(f'home = "{machine.home}"\n[edge]\n{edge}\n')
    serving = ManagedProcess(
        "edge",
        [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)],
        log=machine.logs / "edge.log",
    )
    try:
        with running_mlflow(machine), open_executor(machine.hpc, machine.logs / "hpc") as executor:
            serving.wait_ready((machine.home / "run" / "edge.json").exists, timeout_s=300)
            opened = AtomsHub(machine, executor)
            yield opened
            opened.site.outbox.close()
    finally:
        serving.stop()


@pytest.fixture(scope="module")
def first_model(hub: AtomsHub) -> Ending:
    return hub.bootstrap("bootstrap-1")


@pytest.fixture
def serving(machine: Settings) -> Iterator[Callable[[], object]]:
    """What the edge says that it serves."""
    client = PyroControlClient(machine.edge.host, machine.edge.control_port, timeout_s=60)
    yield lambda: client.call("status", {})["model_version"]
    client.close()


@pytest.fixture(scope="module")
def repository(machine: Settings) -> Path:
    register_session(machine.repository_path, "drifted", 32, SMALL.drifted, shape=SMALL.shape, seed=1)
    register_session(
        machine.repository_path, "unlabelled", 24, SMALL.drifted, shape=SMALL.shape, labelled=False, seed=2
    )
    return machine.repository_path


def test_the_first_model_is_in_service(
    hub: AtomsHub, first_model: Ending, serving: Callable[[], object]
) -> None:
    assert (first_model.outcome, first_model.version) == ("promoted", 1)
    assert serving() == 1
    hub.stages.clear()
    assert hub.bootstrap("bootstrap-1") == first_model
    assert hub.versions() == [1]


def test_frames_that_do_not_come_are_waited_for_no_longer_than_allowed(
    hub: AtomsHub, first_model: Ending, repository: Path
) -> None:
    with pytest.raises(NotEnoughFramesError, match="only 12 of 24 frames of session drifted from 20 on"):
        hub.retrain("too-few", "drifted", ACTION, first_sequence=20)


def test_labels_that_the_champion_is_not_sure_of_hold_the_run(
    hub: AtomsHub, first_model: Ending, repository: Path
) -> None:
    with pytest.raises(HeldError, match="too few confident labels"):
        hub.retrain("unlabelled", "unlabelled", ACTION)
    assert hub.versions() == [1]


def test_a_better_model_replaces_the_champion_once_per_trigger(
    hub: AtomsHub, first_model: Ending, repository: Path, serving: Callable[[], object]
) -> None:
    hub.stages.clear()
    ending = hub.retrain("drift-1", "drifted", ACTION)
    assert (ending.outcome, ending.version) == ("promoted", 2), ending.reason
    assert hub.stages == ["gather", "train", "judge", "sign", "register", "promote", "install"]
    assert serving() == 2
    champion = hub.site.registry.champion("atoms")
    assert champion is not None
    assert champion.lineage.datasets == ("microscope-1.drifted",)
    assert champion.lineage.trained_from == "v1"
    assert champion.metrics["recent_f1"] > champion.metrics["recent_f1_of_champion"]
    assert [event.kind for event in hub.site.outbox.pending()] == ["model.promoted", "model.promoted"]

    book = ReleaseBook.of(hub.site.settings)
    release = None if book is None else book.current("atoms")
    assert release is not None
    assert (release.number, release.bundle_version, release.replaces) == (2, 2, 1)
    deployments = hub.site.registry.deployments.history("atoms")
    assert [(line.version, line.state) for line in deployments] == [
        (1, "waiting"), (1, "serving"), (2, "waiting"), (2, "serving"),
    ]  # fmt: skip
    page = hub.site.registry.evidence_page("atoms", 2)
    assert page is not None
    assert b"challenger v2 against champion v1" in page
    assert page.count(b"data:image/png") == 8

    with open_catalogue(hub.site.settings) as catalogue:
        lines = provenance_tree(trace(catalogue, "model:atoms/2"))
    said = "\n".join(lines)
    for part in ("instrument microscope-1", "data set microscope-1.drifted", "model:atoms/1", "on edge-1"):
        assert part in said

    assert hub.retrain("drift-1", "drifted", ACTION) == ending
    assert hub.versions() == [2, 1]
    assert len(hub.site.outbox.pending()) == 2

    with pytest.raises(HeldError, match="version 2 has become champion before version 1"):
        hub.bootstrap("bootstrap-1")
    assert hub.site.registry.champion("atoms") == champion


def test_a_model_that_is_no_better_stays_a_challenger(
    hub: AtomsHub, first_model: Ending, repository: Path, serving: Callable[[], object], tmp_path: Path
) -> None:
    before = serving()
    # The champion has just been trained for these conditions: so much is not to be gained any more.
    demanding = ACTION.gates.model_copy(update={"min_f1_gain_on_recent": 0.5})
    action = ACTION.model_copy(update={"gates": demanding, "steps": 10, "base_version": 1})
    ending = hub.retrain("drift-2", "drifted", action)
    assert ending.outcome == "rejected"
    assert "F1 on recent frames is" in ending.reason
    challenger = hub.site.registry.challenger("atoms")
    assert challenger is not None
    assert challenger.version == ending.version
    # Its training started from the version that the policy named, not from the champion.
    manifest = hub.site.registry.download("atoms", ending.version, tmp_path / "challenger")
    assert manifest.lineage.trained_from == "v1"
    assert serving() == before
