"""Raw frames through a back end: the answers of `networks.Ensemble`, compiled for the shapes in use."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..drift import frame_features
from ..network_spec import NetworkSpec
from ..preprocessing import Preprocessing, network_input
from ..resampling import resample
from ..uncertainty import mean_entropy_of_strongest
from ._failures import closed
from ._protocols import Backend, CompiledEnsemble, EnsembleOutput
from ._source import EnsembleSource

if TYPE_CHECKING:
    from ..networks import Inference

__all__ = ["ServedEnsemble"]

_KEPT_SHAPES = 4


class ServedEnsemble:
    """An ensemble on a back end. Immutable but for its compiled shapes; threads may share it.

    The first frame of a shape waits until the ensemble is compiled for it; call `infer` once before, or
    `compile_for`. The last four shapes are kept.

    Args:
        source: architecture and weights.
        backend: what computes.
        preprocessing: normalisation the members were trained with.
        threads: CPU threads that one frame may use.
        batch: how many frames are computed together at most.
    """

    def __init__(
        self,
        source: EnsembleSource,
        backend: Backend,
        *,
        preprocessing: Preprocessing,
        threads: int = 1,
        batch: int = 1,
    ) -> None:
        self.source = source
        self.backend = backend
        self.preprocessing = preprocessing
        self.threads = threads
        self.batch = batch
        self._compiled: OrderedDict[tuple[int, int], CompiledEnsemble] = OrderedDict()
        self._closed = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def spec(self) -> NetworkSpec:
        """Architecture of every member."""
        return self.source.spec

    def infer(self, frame: NDArray[np.generic], *, pixel_size_m: float | None = None) -> Inference:
        """See :meth:`eucentric_models.networks.Ensemble.infer`.

        Raises:
            InvalidFrameError: the frame cannot be analysed.
            BackendError: the runtime failed.
        """
        return self.infer_many([frame], pixel_sizes_m=[pixel_size_m])[0]

    def infer_many(
        self, frames: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[Inference]:
        """Several frames, computed together where they have one shape at the network's pixel size.

        Args:
            frames: raw frames, each as `infer` takes it.
            pixel_sizes_m: one for each frame.

        Raises:
            InvalidFrameError: a frame cannot be analysed.
            BackendError: the runtime failed.
        """
        return self.infer_timed(frames, pixel_sizes_m=pixel_sizes_m)[0]

    def infer_timed(
        self, frames: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> tuple[list[Inference], dict[str, float]]:
        """The same, and how long `preprocessing`, `network` and `statistics` took for all of them (s)."""
        started_s = time.perf_counter()
        prepared = [self._prepared(frame, size) for frame, size in zip(frames, pixel_sizes_m, strict=True)]
        prepared_s = time.perf_counter()
        network_s = 0.0
        answers: dict[int, Inference] = {}
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, (image, _) in enumerate(prepared):
            by_shape.setdefault((image.shape[0], image.shape[1]), []).append(index)
        for shape, indices in by_shape.items():
            compiled = self.compile_for(shape)
            for start in range(0, len(indices), self.batch):
                together = indices[start : start + self.batch]
                images = np.stack([prepared[index][0] for index in together])
                running_s = time.perf_counter()
                output = compiled.run(images)
                network_s += time.perf_counter() - running_s
                for row, index in enumerate(together):
                    image, scale = prepared[index]
                    answers[index] = _inference(output, row, image, scale, np.shape(frames[index]))
        stages_s = {
            "preprocessing": prepared_s - started_s,
            "network": network_s,
            "statistics": time.perf_counter() - prepared_s - network_s,
        }
        return [answers[index] for index in range(len(prepared))], stages_s

    def working_shape(self, shape: tuple[int, int], pixel_size_m: float | None) -> tuple[int, int]:
        """`(ny, nx)` at the network's pixel size of frames of this shape and calibration."""
        scale = self.preprocessing.scale_for(pixel_size_m)
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def compile_for(self, shape: tuple[int, int]) -> CompiledEnsemble:
        """The ensemble for images of a shape at the network's pixel size, compiled unless it is there.

        Raises:
            BackendError: it was closed, or the back end cannot compile it.
        """
        with self._lock:
            if self._closed:
                raise closed(self.backend.name)
            compiled = self._compiled.get(shape)
            if compiled is None:
                compiled = self.backend.compile(
                    self.source, shape=shape, batch=self.batch, threads=self.threads
                )
                self._compiled[shape] = compiled
            self._compiled.move_to_end(shape)
            # What is no longer kept is not closed: another thread may be running it, and it goes with that.
            if len(self._compiled) > _KEPT_SHAPES:
                self._compiled.popitem(last=False)
            return compiled

    def close(self) -> None:
        """Give memory and threads back; frames after it raise `BackendError`."""
        with self._lock:
            self._closed = True
            kept = list(self._compiled.values())
            self._compiled.clear()
        for compiled in kept:
            compiled.close()

    def _prepared(
        self, frame: NDArray[np.generic], pixel_size_m: float | None
    ) -> tuple[NDArray[np.float32], float]:
        return network_input(
            frame, self.preprocessing, pixel_size_m, smallest_side_px=self.spec.size_multiple
        )


def _inference(
    output: EnsembleOutput, row: int, image: NDArray[np.float32], scale: float, shape: tuple[int, ...]
) -> Inference:
    from ..networks import Inference

    return Inference(
        maps=output.maps[row],
        deviation=resample(output.deviation[row], 1 / scale, shape=(shape[0], shape[1])),
        mean_entropy=mean_entropy_of_strongest(output.maps[row], output.strongest[row]),
        features=frame_features(image, output.embedding[row].astype(np.float64)),
        scale=scale,
    )
