"""Back ends: runtimes that compute an ensemble, behind one seam.

Importing this package imports no runtime. `backend_named("openvino-bf16").compile(source, shape=(512, 512))`
gives a :class:`CompiledEnsemble`; `unavailable()` says why a back end cannot be used on this machine.
"""

from __future__ import annotations

from .._run_moments import RUNS, at_next_run
from ._errors import BackendError, BackendUnavailableError
from ._foreign_graph import GRAPH_REFERENCE, open_graph
from ._onnx_graph import onnx_graph
from ._plain_graph import FOLDED_LOGITS, changed_pixels, maps_of_folded, plain_graph
from ._protocols import (
    Backend,
    CompiledEnsemble,
    EnsembleOutput,
    ForeignGraph,
    GraphBackend,
    Precision,
    opened,
)
from ._quantised import QuantisedBackend, quantised_graph
from ._registry import BACKENDS, REFERENCE, UNTESTED, backend_named
from ._served import ServedEnsemble
from ._source import EnsembleSource

__all__ = [
    "BACKENDS",
    "FOLDED_LOGITS",
    "GRAPH_REFERENCE",
    "REFERENCE",
    "RUNS",
    "UNTESTED",
    "Backend",
    "BackendError",
    "BackendUnavailableError",
    "CompiledEnsemble",
    "EnsembleOutput",
    "EnsembleSource",
    "ForeignGraph",
    "GraphBackend",
    "Precision",
    "QuantisedBackend",
    "ServedEnsemble",
    "at_next_run",
    "backend_named",
    "changed_pixels",
    "maps_of_folded",
    "onnx_graph",
    "open_graph",
    "opened",
    "plain_graph",
    "quantised_graph",
]
