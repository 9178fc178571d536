"""A network from elsewhere, as an ONNX graph, becomes a signed version that anybody can apply."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eucentric_core import TrustedKeys, claimed_manifest, load_settings
from eucentric_model_registry import KeyFolder, Registry, create_trust
from eucentric_model_registry._cli import models_app
from eucentric_models.engines import EngineError, ModelDescription, engine_named

from ..models.spot_graph import graph, spots


def describe(**changes: object) -> ModelDescription:
    facts = {
        "name": "spots",
        "version": 1,
        "engine": "segmentation",
        "classes": ("spot",),
        "parameters": {"activation": "softmax", "background": 1, "size_multiple": 8},
        "members": ("network.onnx",),
    }
    return ModelDescription.model_validate({**facts, **changes})


def test_a_graph_finds_what_it_was_made_for_in_frames_of_any_size(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(graph())
    model = engine_named("segmentation").open(tmp_path, describe())
    maps = model.answer(spots(1))
    assert maps.shape == (1, 40, 36)
    assert 0 <= maps.min() <= maps.max() <= 1
    found = model.apply(spots(1), pixel_size_m=None)
    places = np.sort(np.asarray(found.columns(None)["y_px"], np.float64))
    assert found.summary()["count"] == 9
    assert places[:3] == pytest.approx([8, 8, 8], abs=1)


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        (b"not a graph", {}, "cannot be opened"),
        (b"", {}, "cannot be opened"),
        (graph(domain="org.example"), {}, "cannot be opened"),
        (graph(external=True), {}, "cannot be opened"),
        (graph(), {"parameters": {"background": 9}}, "cannot be the background"),
        (graph(), {"parameters": {"run": "it"}}, "not usable"),
        (graph(), {"members": ("network.onnx", "more.onnx")}, "one .onnx file"),
    ],
)
def test_what_is_no_contained_graph_is_refused(
    tmp_path: Path, content: bytes, changes: dict[str, object], said: str
) -> None:
    (tmp_path / "network.onnx").write_bytes(content)
    with pytest.raises(EngineError, match=said):
        engine_named("segmentation").open(tmp_path, describe(**changes))


def test_a_graph_that_answers_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(graph())
    model = engine_named("segmentation").open(tmp_path, describe(classes=("a", "b", "c")))
    with pytest.raises(EngineError, match="answers"):
        model.answer(spots(1))


@pytest.mark.slow
def test_a_graph_is_signed_registered_once_and_knows_what_is_strange(
    tmp_path: Path, mlflow_url: str, name: str
) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(
        f'home = "{tmp_path / "home"}"\n[hub]\nmlflow_url = "{mlflow_url}"\n[edge]\nmodel = "{name}"\n'
    )
    settings = load_settings(config)
    create_trust(KeyFolder.of(settings), settings.releases_path)
    frames = tmp_path / "frames"
    frames.mkdir()
    (tmp_path / "spots.onnx").write_bytes(graph())
    words = ["import", str(tmp_path / "spots.onnx"), "--config", str(config), "--json"]
    words += ["--background", "1", "--classes", "spot", "--frames", str(frames), "--reason", "from the web"]
    refused = CliRunner().invoke(models_app, words)
    assert refused.exit_code == 2
    assert "at least 10" in refused.stderr
    for seed in range(12):
        np.save(frames / f"{seed:02d}.npy", spots(seed))
    versions = []
    for _ in range(2):
        taken = CliRunner().invoke(models_app, words)
        assert taken.exit_code == 0, taken.output
        versions.append(json.loads(taken.output)["version"])
    assert versions == [1, 1]
    registry = Registry(mlflow_url, TrustedKeys.read(settings.trusted_keys_path))
    registry.download(name, 1, tmp_path / "bundle")
    manifest = claimed_manifest(tmp_path / "bundle")
    assert "from the web" in (manifest.lineage.trained_from or "")
    model = engine_named(manifest.engine).open(tmp_path / "bundle", ModelDescription.of_manifest(manifest))
    usual = model.apply(spots(50), pixel_size_m=None).drift_score
    strange = model.apply(spots(50, blank=True), pixel_size_m=None).drift_score
    assert usual is not None
    assert strange is not None
    assert usual < strange
    assert strange > 1
