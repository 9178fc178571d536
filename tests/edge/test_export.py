"""`eucentric edge export`: one ONNX file that another runtime reads, with the answers of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eucentric_edge._cli import app
from eucentric_models import DEFAULT_PREPROCESSING, normalise
from eucentric_models.backends import FOLDED_LOGITS, maps_of_folded
from eucentric_models.networks import Ensemble, weights_to_bytes

from .bundle_maker import SHAPE, SPEC, BundleMaker, image

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


def test_one_member_alone_is_the_first_and_nothing_of_the_others(
    config: Path, bundles: BundleMaker, tmp_path: Path
) -> None:
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


def test_a_plain_network_has_only_what_compilers_of_small_devices_know(
    config: Path, bundles: BundleMaker, tmp_path: Path
) -> None:
    frames, output = tmp_path / "frames", tmp_path / "plain.onnx"
    frames.mkdir()
    np.save(frames / "7.npy", image(7), allow_pickle=False)
    model = ("--model", str(bundles.make(1)), "--plain", "--frames", str(frames))
    said = export(config, output, *model)
    assert "1 plain network, float32" in said
    assert "fixed on 1 frames; of the same, for want of others, 0 % of the pixels change sides" in " ".join(
        said.split()
    )
    graph = onnx.load(output)
    assert {node.op_type for node in graph.graph.node} == {"Conv", "Relu", "MaxPool", "Resize", "Concat"}
    assert [opset.version for opset in graph.opset_import] == [13]
    (given,) = graph.graph.input
    assert [axis.dim_value for axis in given.type.tensor_type.shape.dim] == [1, 1, *SHAPE]

    # With the statistics of this very frame it is the same network.
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    normalised = normalise(image(7), DEFAULT_PREPROCESSING)[None, None]
    (folded,) = session.run([FOLDED_LOGITS], {"images": normalised})
    first = Ensemble(SPEC, [weights_to_bytes(bundles.ensemble(1)._networks[0])])
    expected = first.infer(image(7)).maps
    np.testing.assert_allclose(maps_of_folded(folded, SPEC), expected, rtol=0, atol=1e-4)

    small = tmp_path / "small.onnx"
    assert "(1, 1, 16, 16)" in " ".join(export(config, small, *model, "--size", "16").split())


def test_a_plain_network_is_judged_by_frames_that_fixed_nothing(
    config: Path, bundles: BundleMaker, tmp_path: Path
) -> None:
    frames, output = tmp_path / "frames", tmp_path / "plain.onnx"
    frames.mkdir()
    for number, seed in enumerate((7, 7, 7, 3)):
        np.save(frames / f"{number}.npy", image(seed), allow_pickle=False)
    said = export(config, output, "--model", str(bundles.make(1)), "--plain", "--frames", str(frames))

    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    normalised = normalise(image(3), DEFAULT_PREPROCESSING)[None, None]
    (folded,) = session.run([FOLDED_LOGITS], {"images": normalised})
    first = Ensemble(SPEC, [weights_to_bytes(bundles.ensemble(1)._networks[0])])
    changed = np.mean((maps_of_folded(folded, SPEC) > 0.5) != (first.infer(image(3)).maps > 0.5))
    assert changed > 0
    words = f"fixed on 3 frames; of 1 other(s) {100 * changed:.2g} % of the pixels change sides"
    assert words in " ".join(said.split())


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
        (none, (*model, "--plain", "--int8"), "one network in float32"),
        (none, (*model, "--plain", "--size", "18"), "images of 18 px do not fit"),
        (none, (*model, "--size", "16"), "images of any size"),
        (none, (), "No model is installed"),
    ):
        outcome = CliRunner().invoke(app, ["export", str(output), "--config", str(config), *options])
        assert outcome.exit_code == 2
        assert reason in " ".join(outcome.output.split())
    assert there.read_bytes() == b"mine"
    assert not none.exists()
