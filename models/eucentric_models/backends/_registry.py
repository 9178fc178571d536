"""The back ends there are, by name."""

from __future__ import annotations

from ._cuda import CudaBackend
from ._errors import BackendUnavailableError
from ._onnxruntime import OnnxRuntimeBackend
from ._openvino import OpenVinoBackend
from ._protocols import Backend
from ._torch import TorchBackend

__all__ = ["BACKENDS", "REFERENCE", "UNTESTED", "backend_named"]

REFERENCE = "torch"
"""What every other back end is compared with; it is there wherever models are opened."""

_TENSORRT = "TensorrtExecutionProvider"

# The tolerances are what was measured on trained networks, doubled (docs/edge.md).
BACKENDS: tuple[Backend, ...] = (
    TorchBackend(REFERENCE, "float32", tolerance=1e-4),
    TorchBackend("torch-bf16", "bfloat16", tolerance=0.05),
    TorchBackend("torch-compile", "float32", tolerance=1e-3, compiled=True),
    OnnxRuntimeBackend("onnxruntime", "float32", tolerance=1e-3),
    OpenVinoBackend("openvino", "float32", tolerance=1e-3),
    OpenVinoBackend("openvino-bf16", "bfloat16", tolerance=0.05),
    CudaBackend("cuda", "float32", tolerance=2e-3),
    CudaBackend("cuda-bf16", "bfloat16", tolerance=0.05),
    CudaBackend("cuda-fp16", "float16", tolerance=0.01),
    OnnxRuntimeBackend(
        "tensorrt-fp16",
        "float16",
        tolerance=0.02,
        provider=_TENSORRT,
        provider_options=(("trt_fp16_enable", "1"),),
        behind=("CUDAExecutionProvider",),
    ),
)

UNTESTED = frozenset({"cuda", "cuda-bf16", "cuda-fp16", "tensorrt-fp16"})
"""Names of those that were written without their device at hand and never ran on one (docs/edge.md)."""


def backend_named(name: str) -> Backend:
    """The back end of this name, whether or not this machine has it.

    Raises:
        BackendUnavailableError: there is none.
    """
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise BackendUnavailableError(
        f"There is no back end {name!r}.",
        safe="nothing was compiled.",
        next_step=f"choose one of: {', '.join(backend.name for backend in BACKENDS)}.",
    )
