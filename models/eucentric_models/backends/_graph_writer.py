"""Nodes and tensors of an ONNX graph that is written by hand, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

__all__ = ["GraphWriter"]


class GraphWriter:
    """What writers of graphs have in common; each node has the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []

    def _relu(self, features: str) -> str:
        return self._node("Relu", [features], f"{features}.relu")

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def _tensor(self, name: str, values: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
