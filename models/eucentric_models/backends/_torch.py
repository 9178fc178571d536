"""PyTorch on the CPU, as it is or through `torch.compile`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._compiled import CompiledShape
from ._failures import closed, failing_as_backend_error, missing_torch, require_available
from ._frame_shape import FrameShape
from ._protocols import CompiledEnsemble, EnsembleOutput, Precision
from ._source import EnsembleSource

__all__ = ["TorchBackend"]

_COMPILERS = ("c++", "g++", "clang++", "cl")


@dataclass(frozen=True)
class TorchBackend:
    """Channels-last layout, which is twice as fast on CPUs as the default one.

    Attributes:
        name: see :class:`Backend`; so the next two.
        precision: float32 or bfloat16.
        tolerance: see :class:`Backend`.
        compiled: through `torch.compile` (Inductor); its first call takes tens of seconds, and needs a C++
            compiler.
    """

    name: str
    precision: Precision
    tolerance: float
    compiled: bool = False

    def unavailable(self) -> str | None:
        """Why it cannot be used here."""
        if reason := missing_torch():
            return reason
        if self.compiled and not any(map(shutil.which, _COMPILERS)):
            return "torch.compile needs a C++ compiler, and none is on the path."
        return None

    def compile(
        self, source: EnsembleSource, *, shape: tuple[int, int], batch: int = 1, threads: int = 1
    ) -> CompiledEnsemble:
        """See :class:`Backend`."""
        require_available(self.name, self.unavailable())
        import torch

        from ._torch_graph import EnsembleGraph

        frame = FrameShape.checked(source, shape, batch, threads)
        dtype: Literal["bfloat16", "float32"] = "bfloat16" if self.precision == "bfloat16" else "float32"
        graph: Any = EnsembleGraph(source.networks()).eval().to(getattr(torch, dtype))
        graph = graph.to(memory_format=torch.channels_last)
        if self.compiled:
            with failing_as_backend_error(self.name):
                graph = torch.compile(graph, dynamic=False, fullgraph=True, options={"compile_threads": 1})
        ready = _TorchEnsemble(self.name, frame, threads, graph, getattr(torch, dtype))
        if self.compiled:
            ready.run(np.zeros((1, *frame.shape), np.float32))
        return ready


class _TorchEnsemble(CompiledShape):
    def __init__(
        self, name: str, frame: FrameShape, threads: int, graph: Callable[[Any], Any], dtype: Any
    ) -> None:
        super().__init__(name, frame, threads)
        self._graph: Callable[[Any], Any] | None = graph
        self._dtype = dtype

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        import torch

        batch = self._frame.whole_batch(images)
        with self._lock:
            graph = self._graph
        if graph is None:
            raise closed(self._name)
        # Of the calling thread alone with OpenMP, which is why it is said before every call.
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with failing_as_backend_error(self._name), torch.inference_mode():
                given = torch.from_numpy(batch).to(self._dtype).to(memory_format=torch.channels_last)
                maps, deviation, strongest, embedding = (part.numpy() for part in graph(given))
        finally:
            torch.set_num_threads(before)
        return self._frame.output(len(images), maps, deviation, strongest, embedding)

    def close(self) -> None:
        with self._lock:
            self._graph = None
