"""ONNX Runtime: on the CPU, and through its TensorRT provider where that is present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._run_moments import RUNS
from ._compiled import CompiledShape
from ._failures import closed, failing_as_backend_error, missing_packages, require_available
from ._frame_shape import FrameShape
from ._held_session import HeldSession
from ._onnx_graph import IMAGES, named_output, onnx_bytes
from ._protocols import CompiledEnsemble, EnsembleOutput, ForeignGraph, Precision
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
        return _OnnxEnsemble(self.name, frame, self._session(graph, threads))

    def open_graph(self, graph: bytes, *, threads: int = 1) -> ForeignGraph:
        """See :class:`GraphBackend`."""
        require_available(self.name, self.unavailable())
        return _OnnxForeignGraph(self.name, self._session(graph, threads))

    def _session(self, graph: bytes, threads: int) -> Any:
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
            return onnxruntime.InferenceSession(
                graph, options, providers=[(self.provider, dict(self.provider_options)), *behind]
            )


class _OnnxEnsemble(CompiledShape):
    def __init__(self, name: str, frame: FrameShape, session: Any) -> None:
        super().__init__(name, frame, int(session.get_session_options().intra_op_num_threads))
        self._outputs = [output.name for output in session.get_outputs()]
        self._held = HeldSession(session)

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        batch = self._frame.whole_batch(images)
        said = _run(self._name, self._held, self._outputs, {IMAGES: batch})
        return named_output(self._frame, len(images), dict(zip(self._outputs, said, strict=True)))

    def close(self) -> None:
        self._held.close()


class _OnnxForeignGraph:
    """See :class:`ForeignGraph`."""

    def __init__(self, name: str, session: Any) -> None:
        self._name = name
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self._held = HeldSession(session)

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        (said,) = _run(self._name, self._held, [self._output], {self._input: images})
        return np.asarray(said, np.float32)

    def close(self) -> None:
        self._held.close()


def _run(
    name: str, held: HeldSession, outputs: list[str], given: dict[str, NDArray[np.float32]]
) -> list[Any]:
    session = held.session
    if session is None:
        raise closed(name)
    RUNS.begin()
    with failing_as_backend_error(name):
        said: list[Any] = session.run(outputs, given)
    return said
