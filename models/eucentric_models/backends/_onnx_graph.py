"""The ensemble as one ONNX graph, written directly: for any frame size, in milliseconds, without tracing.

`networks.export_onnx` traces the modules and takes seconds, which a promotion would have to wait for. This
writes the architecture of `networks.UNet` once more, node by node; the tests of the back ends hold both to
the same answers for every kind of network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._run_moments import at_next_run
from ..network_spec import NetworkSpec
from ._errors import BackendError
from ._frame_shape import FrameShape
from ._graph_writer import GraphWriter
from ._protocols import EnsembleOutput
from ._source import EnsembleSource

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

__all__ = ["IMAGES", "MAPS", "named_output", "onnx_bytes", "onnx_graph"]

IMAGES, MAPS, DEVIATION, STRONGEST, EMBEDDING = "images", "maps", "deviation", "strongest", "embedding"

# 21 is the first in which GroupNormalization is what PyTorch computes; IR 10 belongs to it.
_OPSET, _IR_VERSION = 21, 10
_GROUPS = 4

_Weights = Mapping[str, NDArray[np.float32]]


def onnx_graph(source: EnsembleSource) -> ModelProto:
    """The graph.

    Input `images` (batch, 1, ny, nx) float32 with sides that are multiples of `spec.size_multiple`; outputs
    `maps`, `embedding`, `deviation` (of more than one member) and `strongest` (unless it equals the maps).

    Raises:
        BackendError: the architecture is of a kind that this does not know.
        WeightsError: the weights do not fit the architecture.
        ImportError: the extra `onnx` is not installed.
    """
    writer = _Writer(source.spec)
    for index, tensors in enumerate(source.tensors()):
        at_next_run()
        writer.member(f"m{index}", {key: value.numpy() for key, value in tensors.items()})
    return writer.finished()


@lru_cache(maxsize=4)
def onnx_bytes(source: EnsembleSource) -> bytes:
    """The same graph as the content of a file; an installation needs it for several shapes."""
    graph = onnx_graph(source)
    at_next_run()
    return graph.SerializeToString()


def named_output(frame: FrameShape, count: int, said: Mapping[str, NDArray[np.float32]]) -> EnsembleOutput:
    """What a runtime of the graph said, by the names of the outputs; see :meth:`FrameShape.output`."""
    return frame.output(count, said[MAPS], said.get(DEVIATION), said.get(STRONGEST), said[EMBEDDING])


class _Writer(GraphWriter):
    """Nodes and weights, in order."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self._spec = spec
        self._probabilities: list[str] = []
        self._embeddings: list[str] = []
        self._folded = self._node("SpaceToDepth", [IMAGES], "folded", blocksize=spec.stem_factor)
        self._up = self._tensor("up", np.array([1, 1, 2, 2], np.float32))
        self._over_pixels = self._tensor("over_pixels", np.array([2, 3], np.int64))
        self._over_classes = self._tensor("over_classes", np.array([1], np.int64))

    def member(self, name: str, weights: _Weights) -> None:
        """Add a member as a branch."""
        depth = self._spec.depth
        skips: list[str] = []
        features = self._folded
        for level in range(depth + 1):
            if level:
                pooled = f"{name}.pooled{level}"
                features = self._node("MaxPool", [features], pooled, kernel_shape=[2, 2], strides=[2, 2])
            features = self._block(name, f"encoder.{level}", features, weights)
            skips.append(features)
        pooled = self._node("ReduceMean", [features, self._over_pixels], f"{name}.embedding", keepdims=0)
        self._embeddings.append(pooled)
        for level in reversed(range(depth)):
            upsampled = self._node(
                "Resize",
                [features, "", self._up],
                f"{name}.up{level}",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            joined = self._node("Concat", [upsampled, skips[level]], f"{name}.joined{level}", axis=1)
            features = self._block(name, f"decoder.{level}", joined, weights)
        logits = self._convolved(name, "head", features, weights, pad=0)
        self._probabilities.append(self._node("Sigmoid", [logits], f"{name}.probabilities"))

    def finished(self) -> ModelProto:
        """The whole graph, with the statistics over the members."""
        import onnx
        from onnx import TensorProto, helper

        count, factor = len(self._probabilities), self._spec.stem_factor
        mean = self._mean("mean", self._probabilities)
        self._node("DepthToSpace", [mean], MAPS, blocksize=factor, mode="CRD")
        self._node("Concat", self._embeddings, EMBEDDING, axis=1)
        outputs = [_described(MAPS, 4), _described(EMBEDDING, 2)]
        if count > 1:
            squares = []
            for index, member in enumerate(self._probabilities):
                gap = self._node("Sub", [member, mean], f"m{index}.gap")
                squares.append(self._node("Mul", [gap, gap], f"m{index}.square"))
            largest = self._largest("variance", self._mean("variances", squares))
            deviation = self._node("Sqrt", [largest], "folded_deviation")
            unfolded = self._unfolded(deviation, "unfolded_deviation")
            self._node("Squeeze", [unfolded, self._over_classes], DEVIATION)
            outputs.append(_described(DEVIATION, 3))
        if count > 1 or self._spec.n_classes > 1:
            strongest = [
                self._largest(f"m{index}.strongest", member)
                for index, member in enumerate(self._probabilities)
            ]
            joined = self._node("Concat", strongest, "folded_strongest", axis=1)
            self._node("DepthToSpace", [joined], STRONGEST, blocksize=factor, mode="CRD")
            outputs.append(_described(STRONGEST, 4))
        given = helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, ["batch", 1, "ny", "nx"])
        graph = helper.make_graph(self._nodes, "ensemble", [given], outputs, self._tensors)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="eucentric"
        )
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model

    def _block(self, name: str, path: str, features: str, weights: _Weights) -> str:
        kind = self._spec.kind
        if kind == "fast":
            return self._relu(self._normed(name, f"{path}.only", features, weights))
        inner = self._relu(self._normed(name, f"{path}.first", features, weights))
        outer = self._normed(name, f"{path}.second", inner, weights)
        if kind == "resunet":
            shortcut = self._convolved(name, f"{path}.shortcut", features, weights, pad=0)
            outer = self._node("Add", [outer, shortcut], f"{outer}.sum")
        elif kind != "unet":
            raise BackendError(
                f"Networks of the kind {kind!r} cannot be written as an ONNX graph yet.",
                safe="nothing was compiled.",
                next_step="use the back end `torch`.",
            )
        return self._relu(outer)

    def _normed(self, name: str, path: str, features: str, weights: _Weights) -> str:
        convolved = self._convolved(name, path, features, weights, pad=1)
        scale, bias = (
            self._tensor(f"{name}.{path}_norm.{part}", weights[f"{path}_norm.{part}"])
            for part in ("weight", "bias")
        )
        return self._node(
            "GroupNormalization",
            [convolved, scale, bias],
            f"{name}.{path}.normed",
            num_groups=_GROUPS,
            epsilon=1e-5,
        )

    def _convolved(self, name: str, path: str, features: str, weights: _Weights, *, pad: int) -> str:
        inputs = [features, self._tensor(f"{name}.{path}.weight", weights[f"{path}.weight"])]
        if f"{path}.bias" in weights:
            inputs.append(self._tensor(f"{name}.{path}.bias", weights[f"{path}.bias"]))
        return self._node("Conv", inputs, f"{name}.{path}.convolved", pads=[pad] * 4)

    def _mean(self, name: str, parts: Sequence[str]) -> str:
        return self._node("Mean", parts, name) if len(parts) > 1 else parts[0]

    def _largest(self, name: str, folded: str) -> str:
        """The largest over the classes, where each class has its own block of folded channels."""
        if self._spec.n_classes == 1:
            return folded
        from onnx import helper

        parts = [f"{name}.{index}" for index in range(self._spec.n_classes)]
        self._nodes.append(
            helper.make_node("Split", [folded], parts, name=f"{name}.split", axis=1, num_outputs=len(parts))
        )
        return self._node("Max", parts, name)

    def _unfolded(self, folded: str, name: str) -> str:
        factor = self._spec.stem_factor
        return self._node("DepthToSpace", [folded], name, blocksize=factor, mode="CRD")


def _described(name: str, dimensions: int) -> ValueInfoProto:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * dimensions)
