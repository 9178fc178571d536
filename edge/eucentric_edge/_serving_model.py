"""A model as it serves: frames in, arrays for the result streams out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eucentric_core import BundleManifest, EucentricError, Frame, ResultHeader
from eucentric_models.engines import DescribedLiveModel, EngineModel, LiveAnswer, live_answers

from ._errors import FrameRefusedError

__all__ = ["ANALYSIS_FAILURES", "FrameAnswer", "ServingModel", "warm_up_image"]

MAX_FRAME_PIXELS = 4096 * 4096
"""Largest frame that is analysed; a larger one would take more memory than an edge can promise."""

# Whatever numpy and torch make of a frame, it must not stop the frames after it. RuntimeError is what torch
# raises, out of memory included; a header with a number that is not finite is a ValueError.
ANALYSIS_FAILURES = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What an analysis may raise beside the errors of this project."""


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """The results of one frame, as they are published.

    Attributes:
        results: header and array of each stream; of the engine `atoms` first `detections`, (n, 4) float32
            rows of `DETECTION_COLUMNS`, then `uncertainty`, (ny, nx) float16, the standard deviation of the
            members' probabilities.
        entropy_ratio: mean entropy over that of the drift reference.
    """

    results: tuple[tuple[ResultHeader, NDArray[np.generic]], ...]
    entropy_ratio: float

    @property
    def header(self) -> ResultHeader:
        """Of the first stream; what it says of drift, uncertainty and latency holds for all."""
        return self.results[0][0]

    def array(self, stream: str) -> NDArray[np.generic]:
        """The array of a stream.

        Raises:
            KeyError: this model has no such stream.
        """
        return {header.stream: array for header, array in self.results}[stream]


class ServingModel:
    """An installed version, built and tested. Immutable: a newer one replaces it as a whole.

    Args:
        manifest: of its bundle.
        model: as its engine opened it, in this process or in another.
        takes: what the engine takes.
        backend: name of what computes it.
        installed: as it was installed, where `model` has other classes since.
    """

    def __init__(
        self,
        manifest: BundleManifest,
        model: EngineModel | DescribedLiveModel,
        *,
        takes: Literal["image", "spectra"] = "image",
        backend: str = "engine",
        installed: EngineModel | DescribedLiveModel | None = None,
    ) -> None:
        self.manifest = manifest
        self.model = model
        self.installed = model if installed is None else installed
        self.backend = backend
        self.takes = takes

    def with_model(self, model: EngineModel | DescribedLiveModel) -> ServingModel:
        """The same version with another head: other classes of a few-shot model."""
        return ServingModel(
            self.manifest, model, takes=self.takes, backend=self.backend, installed=self.installed
        )

    def answer(self, frame: Frame, *, received_s: float) -> FrameAnswer:
        """Analyse one frame.

        Args:
            frame: an image `(ny, nx)` with a pixel size; for an engine of spectra `(n_spectra, n_channels)`.
            received_s: `time.perf_counter()` when the frame arrived; latency counts from there.

        Raises:
            EucentricError: the frame is none that can be analysed.
        """
        return self.answer_all([frame], received_s=[received_s])[0]

    def answer_all(self, frames: Sequence[Frame], *, received_s: Sequence[float]) -> list[FrameAnswer]:
        """Analyse several frames together.

        Raises:
            EucentricError: one of them is none that can be analysed; none was.
        """
        for frame in frames:
            _require_size(frame.header.shape)
        # An image without a calibration is refused; a series of spectra has none.
        sizes_m = [self._pixel_size_m(frame) for frame in frames]
        try:
            started_s = time.perf_counter()
            live = live_answers(self.model, [frame.array for frame in frames], pixel_sizes_m=sizes_m)
            return [
                self._frame_answer(frame, size_m, said, arrived_s, started_s)
                for frame, size_m, said, arrived_s in zip(frames, sizes_m, live, received_s, strict=True)
            ]
        except ANALYSIS_FAILURES as error:
            raise _refused(f"inference on it failed ({type(error).__name__}: {error})") from error

    def warm_up(self, shape: tuple[int, ...], *, pixel_size_m: float | None = None) -> None:
        """Run once on an image of this shape, so that the first real frame is not the slow one.

        Raises:
            EucentricError: images of this shape cannot be analysed.
        """
        _require_size(shape)
        live_answers(self.model, [warm_up_image(shape)], pixel_sizes_m=[pixel_size_m])

    def close(self) -> None:
        """Give back what its back end holds."""
        close = getattr(self.model, "close", None)
        if close is not None:
            close()

    def _pixel_size_m(self, frame: Frame) -> float | None:
        return frame.header.pixel_size_m if self.takes == "image" else None

    def _frame_answer(
        self, frame: Frame, pixel_size_m: float | None, said: LiveAnswer, received_s: float, started_s: float
    ) -> FrameAnswer:
        header = frame.header
        now_s = time.perf_counter()
        first, *others = said.arrays.items()
        common = ResultHeader(
            instrument=header.instrument,
            session=header.session,
            stream=first[0],
            sequence=header.sequence,
            acquired_utc=header.acquired_utc,
            acquired_monotonic_s=header.acquired_monotonic_s,
            shape=first[1].shape,
            dtype=first[1].dtype.name,
            simulated=header.simulated,
            source_stream=header.stream,
            model_name=self.manifest.name,
            model_version=self.manifest.version,
            classes=self.model.description.classes,
            pixel_size_m=pixel_size_m,
            mean_uncertainty=said.mean_uncertainty,
            mean_entropy_nats=said.mean_entropy_nats,
            drift_score=said.drift_score,
            latency_s=now_s - received_s,
            stages_s={"waiting": max(0.0, started_s - received_s), **said.stages_s},
            backend=self.backend,
        )
        more = tuple(
            (
                common.model_copy(update={"stream": name, "shape": array.shape, "dtype": array.dtype.name}),
                array,
            )
            for name, array in others
        )
        return FrameAnswer(results=((common, first[1]), *more), entropy_ratio=said.entropy_ratio)


def warm_up_image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An image of this shape. It is not empty: an engine may refuse one without any contrast."""
    return np.random.default_rng(0).poisson(20.0, shape).astype(np.float32)


def _require_size(shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise _refused(f"it has {len(shape)} dimensions, an image has two")
    if shape[0] * shape[1] > MAX_FRAME_PIXELS:
        raise _refused(f"its {shape[0]} x {shape[1]} pixels are more than {MAX_FRAME_PIXELS}")


def _refused(reason: str) -> EucentricError:
    return FrameRefusedError(
        f"The frame was not analysed: {reason}.",
        safe="the frame itself is recorded by the agent as it is; the model serves on.",
        next_step="see what the instrument sends.",
    )
