"""What a model says about a frame while the microscope runs: arrays for streams, and where the time went."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ._description import ModelDescription
from ._findings import Findings
from ._protocols import EngineModel, EngineResult

__all__ = [
    "DescribedLiveModel",
    "LiveAnswer",
    "LiveModel",
    "PortableModel",
    "SupportedModel",
    "live_answers",
]


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """One frame's results.

    Attributes:
        arrays: by name of the stream; the first is what a listener looks at first.
        mean_uncertainty: in [0, 1], 0 where the model has none.
        mean_entropy_nats: 0 where the model has none.
        entropy_ratio: entropy over that of the reference; 1 is as sure as ever, and 1 without one.
        drift_score: below 1 the frame is like what the model was trained on; 0 if the model cannot tell.
        stages_s: how long each step took, in order.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    mean_uncertainty: float
    mean_entropy_nats: float
    entropy_ratio: float
    drift_score: float
    stages_s: Mapping[str, float]


@runtime_checkable
class LiveModel(Protocol):
    """A model that answers several frames together."""

    def live(
        self, images: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[LiveAnswer]:
        """One answer for each image.

        Raises:
            ModelsError: one of them cannot be analysed, and none was.
        """


class DescribedLiveModel(LiveModel, Protocol):
    """One that answers frames and nothing else, for example because it is open in another process."""

    @property
    def description(self) -> ModelDescription:
        """What was opened."""


@runtime_checkable
class PortableModel(Protocol):
    """A model whose network other back ends can compute."""

    @property
    def reference(self) -> str:
        """Name of the back end that serves where nothing else was chosen or passes the golden test."""

    def on_backend(self, name: str, *, threads: int, batch: int = 1) -> EngineModel:
        """The same model on a back end, see `eucentric_models.backends.backend_named`.

        Raises:
            BackendUnavailableError: this machine does not have it.
        """


@runtime_checkable
class SupportedModel(Protocol):
    """A model whose classes are given by example chips, and can be given anew, the network unchanged."""

    def with_support(self, path: Path) -> EngineModel:
        """The same network with other classes.

        Raises:
            ModelsError: the support set cannot be used.
        """


def live_answers(
    model: EngineModel | LiveModel,
    images: Sequence[NDArray[np.generic]],
    *,
    pixel_sizes_m: Sequence[float | None],
) -> list[LiveAnswer]:
    """The answers of any model: its own where it is a `LiveModel`, else made from what `apply` gives.

    Places with classes become the stream `detections` (rows y_px, x_px, class_id, confidence), chips of a
    grid a `class_map` beside it, anything else the numbers of its table as `table` (rows, columns).

    Raises:
        ModelsError: an image cannot be analysed.
    """
    if isinstance(model, LiveModel):
        return model.live(images, pixel_sizes_m=pixel_sizes_m)
    return [_from_result(model, image, size) for image, size in zip(images, pixel_sizes_m, strict=True)]


def _from_result(model: EngineModel, image: NDArray[np.generic], pixel_size_m: float | None) -> LiveAnswer:
    started_s = time.perf_counter()
    result = model.apply(image, pixel_size_m=pixel_size_m)
    applied_s = time.perf_counter()
    arrays = (
        _of_findings(result) if isinstance(result, Findings) else {"table": _numbers(result, pixel_size_m)}
    )
    uncertainty = result.uncertainty if isinstance(result, Findings) else np.empty(0)
    return LiveAnswer(
        arrays=arrays,
        mean_uncertainty=float(np.clip(uncertainty.mean(), 0, 1)) if len(uncertainty) else 0.0,
        mean_entropy_nats=0.0,
        entropy_ratio=1.0,
        drift_score=max(0.0, result.drift_score or 0.0),
        stages_s={"engine": applied_s - started_s, "decoding": time.perf_counter() - applied_s},
    )


def _of_findings(found: Findings) -> dict[str, NDArray[np.generic]]:
    rows = np.column_stack([found.positions_px, found.class_id, found.confidence]).astype(np.float32)
    arrays: dict[str, NDArray[np.generic]] = {"detections": rows}
    if found.chip_px is not None and {"row", "column"} <= set(found.extras):
        row, column = (np.asarray(found.extras[name], np.intp) for name in ("row", "column"))
        class_map = np.full((row.max() + 1, column.max() + 1), -1, np.int16)
        class_map[row, column] = found.class_id
        arrays["class_map"] = class_map
    return arrays


def _numbers(result: EngineResult, pixel_size_m: float | None) -> NDArray[np.float32]:
    columns = [np.asarray(column) for column in result.columns(pixel_size_m).values()]
    numeric = [column for column in columns if column.dtype.kind in "buif"]
    return np.column_stack(numeric).astype(np.float32) if numeric else np.empty((0, 0), np.float32)
