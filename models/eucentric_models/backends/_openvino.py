"""OpenVINO on the CPU: float32, bfloat16 where the processor has it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._run_moments import RUNS, at_next_run
from ._compiled import CompiledShape
from ._failures import closed, failing_as_backend_error, missing_packages, require_available
from ._frame_shape import FrameShape
from ._held_session import HeldSession
from ._onnx_graph import IMAGES, named_output, onnx_bytes
from ._protocols import CompiledEnsemble, EnsembleOutput, ForeignGraph, Precision
from ._source import EnsembleSource

__all__ = ["OpenVinoBackend"]

_KEPT_SHAPES = 4
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}


@dataclass(frozen=True)
class OpenVinoBackend:
    """OpenVINO's CPU plugin.

    Attributes:
        name: see :class:`Backend`; so the next two.
        precision: float32 or bfloat16; int8 says that the graph is quantised.
        tolerance: see :class:`Backend`.
    """

    name: str
    precision: Precision
    tolerance: float

    def unavailable(self) -> str | None:
        """Why it cannot be used here."""
        if reason := missing_packages("torch", "onnx", "openvino"):
            return reason
        import openvino

        core = openvino.Core()
        if "CPU" not in core.available_devices:
            return "OpenVINO finds no CPU that it knows."
        if self.precision == "bfloat16":
            offered = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if "BF16" not in offered:
                return "the processor has no bfloat16 arithmetic."
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
        with failing_as_backend_error(self.name):
            compiled = self._compiled(graph, [frame.batch, 1, *frame.padded], threads)
        return _OpenVinoEnsemble(self.name, frame, compiled)

    def open_graph(self, graph: bytes, *, threads: int = 1) -> ForeignGraph:
        """See :class:`GraphBackend`."""
        require_available(self.name, self.unavailable())
        return _OpenVinoForeignGraph(self.name, lambda shape: self._compiled(graph, shape, threads))

    def _compiled(self, graph: bytes, shape: Sequence[int], threads: int) -> Any:
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned threads of two processes would meet on the same core.
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        at_next_run()
        model = core.read_model(graph, b"")
        model.reshape(list(shape))
        return core.compile_model(model, "CPU", options)


class _OpenVinoEnsemble(CompiledShape):
    def __init__(self, name: str, frame: FrameShape, compiled: Any) -> None:
        super().__init__(name, frame, int(compiled.get_property("INFERENCE_NUM_THREADS")))
        self._outputs = [output.get_any_name() for output in compiled.outputs]
        self._held = HeldSession(compiled.create_infer_request())

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        batch = self._frame.whole_batch(images)
        # One request holds one set of buffers: the next caller waits until they have been copied.
        with self._lock:
            request = self._held.session
            if request is None:
                raise closed(self._name)
            RUNS.begin()
            with failing_as_backend_error(self._name):
                request.infer({IMAGES: batch}, share_inputs=True, share_outputs=True)
                said = {
                    output: request.get_output_tensor(index).data
                    for index, output in enumerate(self._outputs)
                }
            return named_output(self._frame, len(images), said)

    def close(self) -> None:
        with self._lock:
            self._held.close()


class _OpenVinoForeignGraph:
    """See :class:`ForeignGraph`. Compiled for each shape of images, which is faster than for any shape."""

    def __init__(self, name: str, compile_for: Callable[[Sequence[int]], Any]) -> None:
        self._name = name
        self._compile_for: Callable[[Sequence[int]], Any] | None = compile_for
        self._by_shape: OrderedDict[tuple[int, ...], HeldSession] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            if self._compile_for is None:
                raise closed(self._name)
            with failing_as_backend_error(self._name):
                held = self._by_shape.get(images.shape)
                if held is None:
                    held = HeldSession(self._compile_for(images.shape).create_infer_request())
                    self._by_shape[images.shape] = held
                self._by_shape.move_to_end(images.shape)
                if len(self._by_shape) > _KEPT_SHAPES:
                    self._by_shape.popitem(last=False)
                RUNS.begin()
                held.session.infer({0: images}, share_inputs=True, share_outputs=True)
                return np.array(held.session.get_output_tensor(0).data, np.float32)

    def close(self) -> None:
        with self._lock:
            self._compile_for = None
            self._by_shape.clear()
