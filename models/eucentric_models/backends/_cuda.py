"""CUDA through PyTorch: channels-last, half precision, and the whole ensemble as one captured CUDA graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._compiled import CompiledShape
from ._failures import closed, failing_as_backend_error, missing_torch, require_available
from ._frame_shape import FrameShape
from ._protocols import CompiledEnsemble, EnsembleOutput, Precision
from ._source import EnsembleSource

__all__ = ["CudaBackend"]

_WARM_UPS = 3


@dataclass(frozen=True)
class CudaBackend:
    """One GPU. Launching the kernels of small networks one by one takes longer than computing them.

    They are therefore recorded once as a CUDA graph, and replayed for every frame. Copies go through
    page-locked memory on both sides.

    Attributes:
        name: see :class:`Backend`; so the next two.
        precision: float32, bfloat16 or float16.
        tolerance: see :class:`Backend`.
        device: for example `cuda:0`.
    """

    name: str
    precision: Precision
    tolerance: float
    device: str = "cuda:0"

    def unavailable(self) -> str | None:
        """Why it cannot be used here."""
        if reason := missing_torch():
            return reason
        import torch

        if not torch.cuda.is_available():
            return "PyTorch finds no CUDA device."
        if self.precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            return "the GPU has no bfloat16 arithmetic."
        return None

    def compile(
        self, source: EnsembleSource, *, shape: tuple[int, int], batch: int = 1, threads: int = 1
    ) -> CompiledEnsemble:
        """See :class:`Backend`."""
        require_available(self.name, self.unavailable())
        import torch

        from ._torch_graph import EnsembleGraph

        frame = FrameShape.checked(source, shape, batch, threads)
        graph: Any = EnsembleGraph(source.networks()).eval()
        with failing_as_backend_error(self.name):
            graph = graph.to(self.device, getattr(torch, self.precision))
            graph = graph.to(memory_format=torch.channels_last)
            return _CudaEnsemble(self.name, frame, graph, self.device, getattr(torch, self.precision))


class _CudaEnsemble(CompiledShape):
    def __init__(self, name: str, frame: FrameShape, graph: Any, device: str, dtype: Any) -> None:
        import torch

        super().__init__(name, frame, threads=1)
        self._device = torch.device(device)
        size = (frame.batch, 1, *frame.padded)
        self._given = torch.zeros(size, pin_memory=True)
        stream_type: Any = torch.cuda.Stream
        self._stream = stream_type(self._device)
        # The weights were brought here on the stream of the caller.
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.device(self._device), torch.inference_mode(), torch.cuda.stream(self._stream):
            self._images = torch.zeros(size, device=self._device)
            # cuDNN chooses its algorithms and the allocator its blocks before anything is recorded.
            for _ in range(_WARM_UPS):
                outputs = self._computed(graph, dtype)
            self._stream.synchronize()
            recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recorded, stream=self._stream):
                outputs = self._computed(graph, dtype)
            self._outputs = outputs
            self._taken = tuple(torch.empty(part.shape, pin_memory=True) for part in outputs)
        # The module keeps alive the weights that the recording reads.
        self._recorded: tuple[Any, Any] | None = (recorded, graph)

    def _computed(self, graph: Any, dtype: Any) -> tuple[Any, ...]:
        import torch

        images = self._images.to(dtype).to(memory_format=torch.channels_last)
        return tuple(part.contiguous() for part in graph(images))

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        import torch

        batch = self._frame.whole_batch(images)
        with self._lock:
            if self._recorded is None:
                raise closed(self._name)
            # What was made in inference mode may be written to in inference mode alone.
            with (
                failing_as_backend_error(self._name),
                torch.inference_mode(),
                torch.cuda.stream(self._stream),
            ):
                self._given.copy_(torch.from_numpy(batch))
                self._images.copy_(self._given, non_blocking=True)
                self._recorded[0].replay()
                for taken, part in zip(self._taken, self._outputs, strict=True):
                    taken.copy_(part, non_blocking=True)
                self._stream.synchronize()
                maps, deviation, strongest, embedding = (part.numpy() for part in self._taken)
            return self._frame.output(len(images), maps, deviation, strongest, embedding)

    def close(self) -> None:
        with self._lock:
            self._recorded = None
            self._outputs = ()
