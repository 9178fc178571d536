"""`eucentric edge export`: one ONNX file that another runtime reads, with the answers of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eucentric_edge._cli import app
from eucentric_models import DEFAULT_PREPROCESSING, normalise

from .bundle_maker import SHAPE, BundleMaker, image

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def config(tmp_path: Path, bundles: BundleMaker) -> Path:
    keys, path = tmp_path / "keys.json", tmp_path / "eucentric.toml"
    keys.write_text(bundles.trusted.model_dump_json())
    path.write_text(f'home = "{tmp_path}"\n[edge]\ntrusted_keys = "{keys}"\n')
    return path


def export(config: Path, output: Path, *options: str) -> str:
    outcome = CliRunner().invoke(app, ["export", str(output), "--config", str(config), *options])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def maps_of(path: Path, seed: int) -> np.ndarray:
    """What ONNX Runtime makes of a frame, from the file alone."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = normalise(image(seed), DEFAULT_PREPROCESSING)[None, None]
    (maps,) = session.run(["maps"], {"images": given})
    return np.asarray(maps[0])


def test_an_exported_graph_answers_as_the_model(config: Path, bundles: BundleMaker, tmp_path: Path) -> None:
    output = tmp_path / "columns.onnx"
    said = export(config, output, "--model", str(bundles.make(1)))
    assert "2 networks in one graph, float32" in said
    graph = onnx.load(output)
    onnx.checker.check_model(graph, full_check=True)
    assert [given.name for given in graph.graph.input] == ["images"]
    assert {opset.domain for opset in graph.opset_import} == {""}
    expected = bundles.ensemble(1).infer(image(7)).maps
    np.testing.assert_allclose(maps_of(output, 7), expected, rtol=0, atol=1e-4)


def test_one_member_alone_is_what_a_converter_starts_from(
    config: Path, bundles: BundleMaker, tmp_path: Path
) -> None:
    """hls4ml and FINN read one network: operators and weights of the first member, nothing of the others."""
    output = tmp_path / "one.onnx"
    assert "1 network in one graph" in export(
        config, output, "--model", str(bundles.make(1)), "--members", "1"
    )
    graph = onnx.load(output).graph
    assert {output.name for output in graph.output} == {"maps", "embedding", "strongest"}
    kinds = {node.op_type for node in graph.node}
    assert {"Conv", "GroupNormalization", "SpaceToDepth", "DepthToSpace"} <= kinds
    first = bundles.ensemble(1)._networks[0]
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, tensor in first.state_dict().items():
        np.testing.assert_array_equal(weights[f"m0.{name}"], tensor.numpy(), err_msg=name)


def test_an_int8_graph_is_near_the_model(config: Path, bundles: BundleMaker, tmp_path: Path) -> None:
    frames, output = tmp_path / "frames", tmp_path / "int8.onnx"
    frames.mkdir()
    for seed in range(4):
        np.save(frames / f"{seed}.npy", image(seed), allow_pickle=False)
    said = export(config, output, "--model", str(bundles.make(1)), "--int8", "--frames", str(frames))
    assert "INT8, calibrated on 4 frames" in said
    kinds = {node.op_type for node in onnx.load(output).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    found = maps_of(output, 7)
    assert found.shape == (2, *SHAPE)
    assert float(np.abs(found - bundles.ensemble(1).infer(image(7)).maps).max()) < 0.2


def test_what_cannot_be_exported_is_said_and_nothing_is_written(
    config: Path, bundles: BundleMaker, tmp_path: Path
) -> None:
    there, none = tmp_path / "there.onnx", tmp_path / "none.onnx"
    there.write_bytes(b"mine")
    empty = tmp_path / "empty"
    empty.mkdir()
    model = ("--model", str(bundles.make(1)))
    for output, options, reason in (
        (there, model, "exists already"),
        (none, (*model, "--int8", "--frames", str(empty)), "0 frames to calibrate on"),
        (none, (*model, "--members", "3"), "3 of 2 networks"),
        (none, (), "No model is installed"),
    ):
        outcome = CliRunner().invoke(app, ["export", str(output), "--config", str(config), *options])
        assert outcome.exit_code == 2
        assert reason in " ".join(outcome.output.split())
    assert there.read_bytes() == b"mine"
    assert not none.exists()
