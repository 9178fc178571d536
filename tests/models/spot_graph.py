"""The smallest network from elsewhere: an ONNX graph that finds bright spots, and frames of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eucentric_core import GoldenChip
from eucentric_models import Decoding, DriftReference
from eucentric_models.engines import BundleDraft, ModelDescription, engine_named
from eucentric_models.engines._segmentation import graph_features

__all__ = ["graph", "segmentation_draft", "spots"]


def spots(seed: int, *, blank: bool = False) -> np.ndarray:
    """A frame (40, 36) of counts with nine bright spots on a grid, float32."""
    rng = np.random.default_rng(seed)
    frame = rng.poisson(5.0, (40, 36)).astype(np.float32)
    if not blank:
        y, x = np.mgrid[0:40, 0:36]
        for cy in (8, 20, 32):
            for cx in (6, 18, 30):
                frame += 200 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 4.5).astype(np.float32)
    return frame


def graph(*, domain: str = "", external: bool = False) -> bytes:
    """A network of one convolution: class 0 where it is bright, class 1, the background, where it is not."""
    kernel = np.zeros((2, 1, 3, 3), np.float32)
    kernel[0], kernel[1] = 2.0, -2.0
    weights = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(np.array([-6.0, 6.0], np.float32), "bias"),
    ]
    if external:
        weights[0].ClearField("raw_data")
        weights[0].data_location = TensorProto.EXTERNAL
        entry = weights[0].external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
    node = helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], pads=[1, 1, 1, 1], domain=domain)
    shape: list[str | int | None] = ["batch", 1, "ny", "nx"]
    made = helper.make_graph(
        [node],
        "spots",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, "ny", "nx"])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return onnx.ModelProto.SerializeToString(helper.make_model(made, opset_imports=opsets, ir_version=8))


def segmentation_draft(folder: Path) -> BundleDraft:
    """A draft of the graph, with a drift reference of twelve frames and one golden chip."""
    names = ("network.onnx", "drift-reference.json", "in.npy", "out.npy")
    files = {name: folder / name for name in names}
    files["network.onnx"].write_bytes(graph())
    facts = {
        "engine": "segmentation",
        "classes": ("spot",),
        "parameters": {"activation": "softmax", "background": 1, "size_multiple": 8},
        "decoding": Decoding(threshold=0.5).model_dump(mode="json"),
        "members": ("network.onnx",),
    }
    bare = ModelDescription.model_validate({"name": "spots", "version": 1, **facts})
    model = engine_named("segmentation").open(folder, bare)
    frames = [spots(seed) for seed in range(12)]
    features = [graph_features(frame, model.answer(frame)) for frame in frames]
    reference = DriftReference.fit(features, [0.1 + 0.01 * index for index in range(12)])
    files["drift-reference.json"].write_text(reference.to_json())
    np.save(files["in.npy"], frames[0], allow_pickle=False)
    np.save(files["out.npy"], model.answer(frames[0]), allow_pickle=False)
    return BundleDraft.model_validate(
        {
            **facts,
            "files": files,
            "drift_reference": "drift-reference.json",
            "golden": (GoldenChip(frame="in.npy", expected="out.npy", max_abs_error=0.01),),
            "metrics": {},
            "report": ("Made by hand.",),
        }
    )
