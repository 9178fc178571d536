"""Networks from elsewhere, as ONNX graphs, on the back ends that compute such graphs."""

from __future__ import annotations

from ._errors import BackendUnavailableError
from ._protocols import ForeignGraph, GraphBackend
from ._registry import backend_named

__all__ = ["GRAPH_REFERENCE", "open_graph"]

GRAPH_REFERENCE = "onnxruntime"
"""What graphs from elsewhere are compared with: the others differ from what it answers."""


def open_graph(name: str, graph: bytes, *, threads: int = 1) -> ForeignGraph:
    """A graph on the back end of this name.

    Raises:
        BackendUnavailableError: there is none, this machine does not have it, or it computes no such graphs.
        BackendError: the runtime refuses the graph.
    """
    backend = backend_named(name)
    if not isinstance(backend, GraphBackend):
        raise BackendUnavailableError(
            f"The back end {name} computes no graphs from elsewhere.",
            safe="nothing was compiled.",
            next_step="use onnxruntime or openvino for models of the engine `segmentation`.",
        )
    return backend.open_graph(graph, threads=threads)
