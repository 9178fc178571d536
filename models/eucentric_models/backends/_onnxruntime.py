"""ONNX Runtime: on the CPU, and through its TensorRT provider where that is present."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._compiled import CompiledShape
from ._failures import closed, failing_as_backend_error, missing_packages, require_available
from ._frame_shape import FrameShape
from ._onnx_graph import IMAGES, named_output, onnx_bytes
from ._protocols import CompiledEnsemble, EnsembleOutput, Precision
from ._source import EnsembleSource

__all__ = ["OnnxRuntimeBackend"]


@dataclass(frozen=True)
class OnnxRuntimeBackend:
    """ONNX Runtime.

    Attributes:
        name: see :class:`Backend`; so the next two.
        precision: as TensorRT is to compute; float32 on the CPU.
        tolerance: see :class:`Backend`.
        provider: execution provider.
        provider_options: for it.
        behind: providers for the nodes that it does not know, before the CPU.
    """

    name: str
    precision: Precision
    tolerance: float
    provider: str = "CPUExecutionProvider"
    provider_options: tuple[tuple[str, str], ...] = ()
    behind: tuple[str, ...] = ()

    def unavailable(self) -> str | None:
        """Why it cannot be used here."""
        if reason := missing_packages("torch", "onnx", "onnxruntime"):
            return reason
        import onnxruntime

        offered = onnxruntime.get_available_providers()
        if self.provider not in offered:
            return f"this ONNX Runtime has no {self.provider}, only {', '.join(offered)}."
        return None

    def compile(
        self, source: EnsembleSource, *, shape: tuple[int, int], batch: int = 1, threads: int = 1
    ) -> CompiledEnsemble:
        """See :class:`Backend`."""
        require_available(self.name, self.unavailable())
        frame = FrameShape.checked(source, shape, batch, threads)
        return self.session(onnx_bytes(source), frame, threads)

    def session(self, graph: bytes, frame: FrameShape, threads: int) -> CompiledEnsemble:
        """A graph as :func:`onnx_bytes` writes it, ready to run."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that spin between two frames would take the processor from whoever else works here.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # What the provider does not know runs on the GPU too where that is possible, and not on the CPU.
        offered = set(onnxruntime.get_available_providers())
        behind: list[tuple[str, dict[str, str]]] = [(name, {}) for name in self.behind if name in offered]
        with failing_as_backend_error(self.name):
            session = onnxruntime.InferenceSession(
                graph, options, providers=[(self.provider, dict(self.provider_options)), *behind]
            )
        return _OnnxEnsemble(self.name, frame, session)


class _OnnxEnsemble(CompiledShape):
    def __init__(self, name: str, frame: FrameShape, session: Any) -> None:
        super().__init__(name, frame, int(session.get_session_options().intra_op_num_threads))
        self._outputs = [output.name for output in session.get_outputs()]
        self._run: Callable[..., Any] | None = session.run

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        batch = self._frame.whole_batch(images)
        with self._lock:
            run = self._run
        if run is None:
            raise closed(self._name)
        with failing_as_backend_error(self._name):
            said = dict(zip(self._outputs, run(self._outputs, {IMAGES: batch}), strict=True))
        return named_output(self._frame, len(images), said)

    def close(self) -> None:
        with self._lock:
            self._run = None
