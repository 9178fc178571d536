"""AtomAI's weights become a graph that says the same, and are served by an edge like any other model.

By default the checkpoint is made by `atomai_like`, which has AtomAI's published layout and none of its code.
With EUCENTRIC_ATOMAI_PYTHON, an interpreter that has AtomAI and onnx, AtomAI itself makes and reads it.
"""

from __future__ import annotations

import json
import os
import pickle  # noqa: TID251 - to offer one that runs code
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_models.engines import ModelDescription, engine_named

from ..edge.bench import Edge, microscope, publish
from ..edge.bundle_maker import frame_of
from .hub import Hub

HERE = Path(__file__).parent
CONVERTER = HERE.parents[1] / "model_registry" / "converters" / "atomai_to_onnx.py"
ATOMAI_PYTHON = os.environ.get("EUCENTRIC_ATOMAI_PYTHON")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script where there is an `atomai`."""
    environment = dict(os.environ)
    if ATOMAI_PYTHON is None:
        environment["PYTHONPATH"] = str(HERE / "atomai_like")
    command = [ATOMAI_PYTHON or sys.executable, *map(str, words)]
    return subprocess.run(
        command, env=environment, cwd=HERE.parent, capture_output=True, text=True, timeout=300, check=False
    )


@dataclass(frozen=True)
class Graph:
    """Folder with `columns.onnx` and `expected.npz`, and what the converter said of it."""

    folder: Path
    said: dict[str, Any]


def converted(folder: Path, classes: int) -> Graph:
    """Make a checkpoint in a folder and convert it."""
    folder.mkdir(exist_ok=True)
    made = run(HERE / "make_atomai_file.py", folder, str(classes))
    assert made.returncode == 0, made.stderr
    done = run(CONVERTER, folder / "segmentor.tar", folder / "columns.onnx")
    assert done.returncode == 0, done.stderr
    return Graph(folder, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Graph]:
    """One class, and two with a background."""
    folder = tmp_path_factory.mktemp("atomai")
    return {classes: converted(folder / str(classes), classes) for classes in (1, 3)}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 3])
def test_the_graph_says_what_the_network_says_to_frames_of_any_size(
    graphs: dict[int, Graph], classes: int
) -> None:
    folder, said = graphs[classes].folder, dict(graphs[classes].said)
    background = said.pop("background")
    assert (said.pop("classes"), background) == (classes, classes - 1 if classes > 1 else None)
    names = tuple(f"class-{index}" for index in range(classes - (background is not None)))
    description = ModelDescription.model_validate(
        {
            "name": "columns",
            "version": 1,
            "engine": "segmentation",
            "classes": names,
            "parameters": {**said, "background": background},
            "members": ("columns.onnx",),
        }
    )
    model = engine_named("segmentation").open(folder, description)
    with np.load(folder / "expected.npz", allow_pickle=False) as expected:
        image, shares = expected["image"], expected["shares"]
    answer = model.answer(1000 * image + 7)
    assert answer == pytest.approx(shares if background is None else shares[:-1], abs=1e-4)
    assert model.answer(image[:37, :29]).shape == (len(names), 37, 29)


@pytest.mark.slow
def test_a_checkpoint_that_would_run_code_does_not(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.system, (f"touch {trace}",))

    import torch

    for name, content in (("other", {"weights": {}, "model_type": "imspec"}), ("evil", Malicious())):
        torch.save(content, tmp_path / f"{name}.tar", pickle_module=pickle)  # noqa: TID251 - as an attacker does
        refused = run(CONVERTER, tmp_path / f"{name}.tar", tmp_path / "out.onnx")
        assert refused.returncode != 0
        assert not (tmp_path / "out.onnx").exists()
    assert not trace.exists()


@pytest.mark.slow
def test_an_atomai_model_is_imported_promoted_installed_and_answers_frames(
    graphs: dict[int, Graph],
    tmp_path: Path,
    mlflow_url: str,
    name: str,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    rng = np.random.default_rng(3)
    usual = [rng.poisson(20.0, (48, 40)).astype(np.float32) for _ in range(12)]
    for index, frame in enumerate(usual):
        np.save(frames / f"{index:02d}.npy", frame, allow_pickle=False)

    control_port, agent_port = find_free_port(), find_free_port()
    hub = Hub(tmp_path, mlflow_url, name, control_port)
    edge = Edge(
        tmp_path / "edge",
        hub.trusted,
        agent_port,
        model=f'"{name}"',
        releases=f'"{hub.settings.releases_path}"',
    )
    text = edge.config.read_text().replace(
        f"control_port = {edge.control_port}", f"control_port = {control_port}"
    )
    edge.config.write_text(text)
    edge.control_port = control_port
    shutil.copy(hub.keys.root, edge.home / "root.json")

    graph = str(graphs[3].folder / "columns.onnx")
    words = [
        "--classes",
        "gallium,arsenic",
        "--background",
        "2",
        "--frames",
        str(frames),
        "--reason",
        "AtomAI",
    ]
    taken = hub.run("import", graph, *words, "--threshold", "0.05")
    assert taken.exit_code == 0, taken.output
    with microscope(context, agent_port) as scope, edge.running(context):
        promoted = hub.run("promote", "--reason", "an external network")
        assert promoted.exit_code == 0, promoted.output
        assert "serving at edge-1" in promoted.output
        results = answered(edge, scope, usual[0])
    assert set(results) == {"detections", "class_map", "uncertainty"}
    header, classes = results["class_map"]
    assert (header.classes, header.model_version) == (("gallium", "arsenic"), 1)
    assert (classes.shape, classes.dtype) == ((48, 40), np.int16)
    assert set(np.unique(classes)) <= {-1, 0, 1}
    _, uncertainty = results["uncertainty"]
    assert uncertainty.shape == (48, 40)
    assert 0 <= uncertainty.min() <= uncertainty.max() <= 1
    assert header.drift_score is not None


def answered(edge: Edge, scope: StreamPublisher, image: np.ndarray) -> dict[str, Any]:
    """The three streams of one frame, once the edge has subscribed."""
    sequence = 0
    while edge.status()["frames_answered"] == 0:
        publish(scope, frame_of(image, sequence))
        sequence += 1
    while len(edge.results) < 3:
        edge._take()
    return {header.stream: (header, array) for header, array in edge.results[:3]}
