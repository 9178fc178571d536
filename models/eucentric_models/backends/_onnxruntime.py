"""ONNX Runtime: on the CPU, and through its TensorRT provider where that is present."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._failures import closed, failing_as_backend_error, require_available
from ._frame_shape import FrameShape
from ._onnx_graph import DEVIATION, EMBEDDING, IMAGES, MAPS, STRONGEST, onnx_bytes
from ._protocols import CompiledEnsemble, EnsembleOutput, Precision
from ._source import EnsembleSource

__all__ = ["OnnxRuntimeBackend", "missing_packages"]


def missing_packages(*names: str) -> str | None:
    """Which packages are not installed, as a sentence; None if all are."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}." if missing else None


@dataclass(frozen=True)
class OnnxRuntimeBackend:
    """ONNX Runtime.

    Attributes:
        name: see :class:`Backend`; so the next two.
        precision: as TensorRT is to compute; float32 on the CPU.
        tolerance: see :class:`Backend`.
        provider: execution provider.
        provider_options: for it.
    """

    name: str
    precision: Precision
    tolerance: float
    provider: str = "CPUExecutionProvider"
    provider_options: tuple[tuple[str, str], ...] = ()

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
        with failing_as_backend_error(self.name):
            session = onnxruntime.InferenceSession(
                graph, options, providers=[(self.provider, dict(self.provider_options))]
            )
        return _OnnxEnsemble(self.name, frame, session)


class _OnnxEnsemble:
    def __init__(self, name: str, frame: FrameShape, session: Any) -> None:
        self._name = name
        self._frame = frame
        self._threads = int(session.get_session_options().intra_op_num_threads)
        self._outputs = [output.name for output in session.get_outputs()]
        self._run: Callable[..., Any] | None = session.run
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        return self._frame.shape

    @property
    def batch(self) -> int:
        return self._frame.batch

    @property
    def threads(self) -> int:
        return self._threads

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        batch = self._frame.whole_batch(images)
        with self._lock:
            run = self._run
        if run is None:
            raise closed(self._name)
        with failing_as_backend_error(self._name):
            said = dict(zip(self._outputs, run(self._outputs, {IMAGES: batch}), strict=True))
        return self._frame.output(
            len(images), said[MAPS], said.get(DEVIATION), said.get(STRONGEST), said[EMBEDDING]
        )

    def close(self) -> None:
        with self._lock:
            self._run = None
