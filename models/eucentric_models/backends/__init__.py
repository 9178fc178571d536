"""Back ends: runtimes that compute an ensemble, behind one seam.

Importing this package imports no runtime. `backend_named("openvino-bf16").compile(source, shape=(512, 512))`
gives a :class:`CompiledEnsemble`; `unavailable()` says why a back end cannot be used on this machine.
"""

from __future__ import annotations

from ._errors import BackendError, BackendUnavailableError
from ._onnx_graph import onnx_graph
from ._protocols import Backend, CompiledEnsemble, EnsembleOutput, Precision, opened
from ._quantised import QuantisedBackend, quantised_graph
from ._registry import BACKENDS, REFERENCE, backend_named
from ._served import ServedEnsemble
from ._source import EnsembleSource

__all__ = [
    "BACKENDS",
    "REFERENCE",
    "Backend",
    "BackendError",
    "BackendUnavailableError",
    "CompiledEnsemble",
    "EnsembleOutput",
    "EnsembleSource",
    "Precision",
    "QuantisedBackend",
    "ServedEnsemble",
    "backend_named",
    "onnx_graph",
    "opened",
    "quantised_graph",
]
