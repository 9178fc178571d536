"""A model as it serves: one frame in, detections, uncertainty and drift score out."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eucentric_core import BundleManifest, Frame, ResultHeader
from eucentric_models import Decoding, DriftReference

from ._errors import FrameRefusedError

if TYPE_CHECKING:
    from eucentric_models.networks import Ensemble

__all__ = ["FrameAnswer", "ModelSlot", "ServingModel"]

MAX_FRAME_PIXELS = 4096 * 4096
"""Largest frame that is analysed; a larger one would take more memory than an edge can promise."""

# Whatever numpy and torch make of a frame, it must not stop the frames after it. RuntimeError is what torch
# raises, out of memory included; a header with a number that is not finite is a ValueError.
_ANALYSIS_FAILURES = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """The results of one frame, as they are published.

    Attributes:
        detections_header: header of `detections`.
        detections: (n, 4) float32, rows of `DETECTION_COLUMNS`.
        uncertainty_header: header of `uncertainty`.
        uncertainty: (ny, nx) float16, standard deviation of the members' probabilities.
        entropy_ratio: mean entropy over that of the drift reference.
    """

    detections_header: ResultHeader
    detections: NDArray[np.float32]
    uncertainty_header: ResultHeader
    uncertainty: NDArray[np.float16]
    entropy_ratio: float


class ServingModel:
    """An installed version, built and tested. Immutable: a newer one replaces it as a whole."""

    def __init__(
        self,
        manifest: BundleManifest,
        ensemble: Ensemble,
        decoding: Decoding,
        drift_reference: DriftReference,
    ) -> None:
        self.manifest = manifest
        self._ensemble = ensemble
        self._decoding = decoding
        self._drift_reference = drift_reference

    def answer(self, frame: Frame, *, received_s: float) -> FrameAnswer:
        """Analyse one frame.

        Args:
            frame: an image `(ny, nx)` with a pixel size.
            received_s: `time.perf_counter()` when the frame arrived; latency counts from there.

        Raises:
            EucentricError: the frame is no finite calibrated image of a size that can be analysed.
        """
        header = frame.header
        self._require_size(header.shape)
        pixel_size_m = header.pixel_size_m
        try:
            inference = self._ensemble.infer(frame.array, pixel_size_m=pixel_size_m)
            detections = inference.detections(self._decoding).rows
            drift_score = self._drift_reference.score(inference.features)
            uncertainty = inference.deviation.astype(np.float16)
            common = ResultHeader(
                instrument=header.instrument,
                session=header.session,
                stream="detections",
                sequence=header.sequence,
                acquired_utc=header.acquired_utc,
                acquired_monotonic_s=header.acquired_monotonic_s,
                shape=detections.shape,
                dtype="float32",
                simulated=header.simulated,
                source_stream=header.stream,
                model_name=self.manifest.name,
                model_version=self.manifest.version,
                classes=self.manifest.classes,
                pixel_size_m=pixel_size_m,
                mean_uncertainty=float(inference.deviation.mean()),
                mean_entropy_nats=inference.mean_entropy,
                drift_score=drift_score,
                latency_s=time.perf_counter() - received_s,
            )
        except _ANALYSIS_FAILURES as error:
            raise _refused(f"inference on it failed ({type(error).__name__}: {error})") from error
        return FrameAnswer(
            detections_header=common,
            detections=detections,
            uncertainty_header=common.model_copy(
                update={"stream": "uncertainty", "shape": uncertainty.shape, "dtype": "float16"}
            ),
            uncertainty=uncertainty,
            entropy_ratio=self._drift_reference.quality_proxy(inference.mean_entropy),
        )

    def warm_up(self, shape: tuple[int, ...]) -> None:
        """Run once on an empty image of this shape, so that the first real frame is not the slow one."""
        self._require_size(shape)
        self._ensemble.infer(np.zeros(shape, np.float32))

    def _require_size(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise _refused(f"it has {len(shape)} dimensions, an image has two")
        smallest = self._ensemble.spec.size_multiple
        if min(shape) < smallest or shape[0] * shape[1] > MAX_FRAME_PIXELS:
            raise _refused(
                f"its {shape[0]} x {shape[1]} pixels are outside of {smallest} x {smallest} "
                f"to {MAX_FRAME_PIXELS} pixels"
            )


class ModelSlot:
    """The one reference to the model in service. It is replaced between two frames, never changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: ServingModel | None = None

    @property
    def model(self) -> ServingModel | None:
        """The model in service; take it once per frame."""
        with self._lock:
            return self._model

    def replace(self, model: ServingModel) -> None:
        """Put another model in service; a frame that is under way finishes with the old one."""
        with self._lock:
            self._model = model


def _refused(reason: str) -> FrameRefusedError:
    return FrameRefusedError(
        f"The frame was not analysed: {reason}.",
        safe="the frame itself is recorded by the agent as it is; the model serves on.",
        next_step="see what the instrument sends.",
    )
