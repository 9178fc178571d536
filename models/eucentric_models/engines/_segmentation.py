"""The engine `segmentation`: somebody else's network of pixel-wise classes, as one ONNX graph."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from eucentric_core import FrozenModel

from ..decoding import Decoding, decode
from ..drift import DriftReference
from ..preprocessing import check_frame
from ..uncertainty import mean_entropy
from ._description import ModelDescription
from ._errors import EngineError, unusable_model
from ._findings import Findings
from ._live import LiveAnswer

if TYPE_CHECKING:
    from ..backends import ForeignGraph

__all__ = [
    "SEGMENTATION",
    "SegmentationEngine",
    "SegmentationModel",
    "SegmentationParameters",
    "graph_features",
]

_DOMAINS = ("", "ai.onnx")
_MAX_GRAPH_BYTES = 1 << 30


class SegmentationParameters(FrozenModel):
    """How a graph of pixel-wise classes is used.

    Its input is one image `(1, 1, ny, nx)`, float32, scaled to 0..1 between its own smallest and largest
    value; its output `(1, k, ny, nx)`.

    Attributes:
        activation: what turns its output into shares of the classes.
        background: the class that stands for nothing; None where the graph has none.
        size_multiple: sides are padded to a multiple of this, by reflection, and cut again.
    """

    activation: Literal["none", "sigmoid", "softmax"] = "none"
    background: int | None = Field(default=None, ge=0, le=255)
    size_multiple: int = Field(default=8, ge=1, le=512)


class SegmentationModel:
    """An open graph; see `EngineModel`.

    Args:
        description: of the model.
        content: of the .onnx file, for other back ends.
        graph: the same, ready on one of them.
        parameters: how it is used.
        decoding: how peaks are found in its maps.
        drift_reference: None where there is none.
    """

    def __init__(
        self,
        description: ModelDescription,
        content: bytes,
        graph: ForeignGraph,
        parameters: SegmentationParameters,
        decoding: Decoding,
        drift_reference: DriftReference | None,
    ) -> None:
        self.description = description
        self._content = content
        self._graph = graph
        self._parameters = parameters
        self._decoding = decoding
        self._drift_reference = drift_reference

    @property
    def reference(self) -> str:
        """See `PortableModel`."""
        from ..backends import GRAPH_REFERENCE

        return GRAPH_REFERENCE

    def on_backend(self, name: str, *, threads: int, batch: int = 1) -> SegmentationModel:
        """The same graph on another back end; see `PortableModel`. Frames are computed one by one.

        Raises:
            BackendUnavailableError: this machine does not have it, or it computes no graphs from elsewhere.
            BackendError: the runtime refuses the graph.
        """
        from ..backends import open_graph

        return SegmentationModel(
            self.description,
            self._content,
            open_graph(name, self._content, threads=threads),
            self._parameters,
            self._decoding,
            self._drift_reference,
        )

    def close(self) -> None:
        """Give the back end's memory and threads back."""
        self._graph.close()

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> Findings:
        """Find what the graph sees in one image, as points at the peaks of its classes.

        Args:
            image: (ny, nx) raw counts.
            pixel_size_m: not used: such a graph works at the pixel size it was trained at.

        Raises:
            InvalidFrameError: the image is not a finite real 2D array.
        """
        maps = self.answer(image)
        found = decode(maps, self._decoding)
        reference = self._drift_reference
        drift_score = None if reference is None else reference.score(graph_features(image, maps))
        unsure = () if len(found) else ("Nothing was found.",)
        return Findings(
            positions_px=found.positions_px,
            class_id=found.class_id,
            confidence=found.confidence,
            uncertainty=(1 - found.confidence).astype(np.float32),
            classes=self.description.classes,
            drift_score=drift_score,
            unsure=unsure,
        )

    def live(
        self, images: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[LiveAnswer]:
        """Streams of each image; see `LiveModel`.

        `detections`, (n, 4) float32; `class_map`, (ny, nx) int16, the likeliest class of each pixel, -1 for
        none of them; `uncertainty`, (ny, nx) float16, what the likeliest outcome lacks to certainty. Of one
        network there is no deviation of members.

        Raises:
            InvalidFrameError: an image is not a finite real 2D array.
            EngineError: the graph answers with another shape than it must.
        """
        return [self._live(image) for image in images]

    def _live(self, image: NDArray[np.generic]) -> LiveAnswer:
        started_s = time.perf_counter()
        maps = self.answer(image)
        answered_s = time.perf_counter()
        class_map, uncertainty = _likeliest(maps, exclusive=self._parameters.activation == "softmax")
        rows = decode(maps, self._decoding).rows
        entropy = mean_entropy(maps[np.newaxis], self._decoding)
        reference = self._drift_reference
        return LiveAnswer(
            arrays={
                "detections": rows,
                "class_map": class_map,
                "uncertainty": uncertainty.astype(np.float16),
            },
            mean_uncertainty=float(uncertainty.mean()),
            mean_entropy_nats=entropy,
            entropy_ratio=1.0 if reference is None else reference.quality_proxy(entropy),
            drift_score=0.0 if reference is None else reference.score(graph_features(image, maps)),
            stages_s={"network": answered_s - started_s, "decoding": time.perf_counter() - answered_s},
        )

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """Shares of the classes without the background, (n_classes, ny, nx) in [0, 1].

        Raises:
            InvalidFrameError: the image is not a finite real 2D array.
            EngineError: the graph answers with another shape than it must.
        """
        image = _scaled(check_frame(array))
        ny, nx = image.shape
        multiple = self._parameters.size_multiple
        padded = np.pad(image, [(0, -ny % multiple), (0, -nx % multiple)], mode="reflect")
        logits = self._graph.run(np.ascontiguousarray(padded)[np.newaxis, np.newaxis])
        wanted = len(self.description.classes) + (self._parameters.background is not None)
        if logits.shape != (1, wanted, *padded.shape):
            raise unusable_model(f"The graph answers {logits.shape} to an image of {padded.shape}.")
        shares = _activated(logits[0, :, :ny, :nx], self._parameters.activation)
        if self._parameters.background is not None:
            shares = np.delete(shares, self._parameters.background, axis=0)
        return np.ascontiguousarray(np.clip(shares, 0, 1), np.float32)


class SegmentationEngine:
    """Opens graphs; see `Engine`. Needs the extra `onnx`."""

    name = "segmentation"
    takes: Literal["image", "spectra"] = "image"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> SegmentationModel:
        """Open a graph with ONNX Runtime on all processors; `on_backend` gives it to others.

        Raises:
            EngineError: the graph is none, needs files or operators from elsewhere, or does not fit.
            DriftReferenceError: the drift reference is none.
        """
        if len(description.members) != 1 or not description.members[0].endswith(".onnx"):
            raise unusable_model("A model of this engine is one .onnx file.")
        try:
            parameters = SegmentationParameters.model_validate(description.parameters)
            decoding = Decoding.model_validate(description.decoding)
        except ValidationError as error:
            raise unusable_model(f"The parameters of the model are not usable: {error}.") from error
        if parameters.background is not None and parameters.background > len(description.classes):
            raise unusable_model(f"Class {parameters.background} cannot be the background.")
        path = folder / description.members[0]
        if path.stat().st_size > _MAX_GRAPH_BYTES:
            raise unusable_model(f"{path.name} is larger than {_MAX_GRAPH_BYTES} bytes.")
        reference = description.drift_reference
        content = path.read_bytes()
        return SegmentationModel(
            description,
            content,
            _opened(content),
            parameters,
            decoding,
            None if reference is None else DriftReference.from_json((folder / reference).read_bytes()),
        )


SEGMENTATION = SegmentationEngine()


def graph_features(image: NDArray[np.generic], maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a frame looks like to a graph, for its drift reference.

    Args:
        image: (ny, nx).
        maps: (n, ny, nx), the graph's shares of classes.

    Returns:
        (2 + 3 n,): mean and deviation of the scaled image; mean, deviation, 99th percentile of each map.
    """
    scaled = _scaled(check_frame(image))
    return np.array(
        [scaled.mean(), scaled.std()]
        + [value for each in maps for value in (each.mean(), each.std(), np.percentile(each, 99))],
        np.float64,
    )


def _opened(content: bytes) -> ForeignGraph:
    from ..backends import GRAPH_REFERENCE, BackendError, BackendUnavailableError, open_graph

    try:
        import onnx
    except ModuleNotFoundError as error:
        raise _needs_onnx(error.name or "onnx") from error
    try:
        graph = onnx.load_model_from_string(content)
        onnx.checker.check_model(graph)
        _require_contained(graph)
    # What this library raises of a damaged graph has no common base.
    except Exception as error:
        raise unusable_model(f"The graph cannot be opened: {str(error)[:300]}.") from error
    try:
        return open_graph(GRAPH_REFERENCE, content, threads=os.cpu_count() or 1)
    except BackendUnavailableError as error:
        raise _needs_onnx(error.what) from error
    except BackendError as error:
        raise unusable_model(f"The graph cannot be opened: {error.what}") from error


def _needs_onnx(what: str) -> EngineError:
    return unusable_model(
        f"Models of the engine 'segmentation' need {what}.", "pip install 'eucentric[onnx]'"
    )


def _require_contained(graph: Any) -> None:
    if strange := sorted({each.domain for each in graph.opset_import} - set(_DOMAINS)):
        raise ValueError(f"it needs operators of {strange}")
    # Weights in another file would be read from wherever the graph says.
    if any(weights.data_location for weights in graph.graph.initializer):
        raise ValueError("its weights lie in another file")


def _scaled(image: NDArray[np.floating]) -> NDArray[np.float32]:
    low, high = float(image.min()), float(image.max())
    return ((image - low) / (high - low if high > low else 1.0)).astype(np.float32)


def _activated(logits: NDArray[np.float32], activation: str) -> NDArray[np.float32]:
    if activation == "none":
        return logits
    if activation == "sigmoid":
        return (1 / (1 + np.exp(-logits.clip(-60, 60)))).astype(np.float32)
    grown = np.exp(logits - logits.max(axis=0))
    return (grown / grown.sum(axis=0)).astype(np.float32)


def _likeliest(
    maps: NDArray[np.float32], *, exclusive: bool
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Class of each pixel, -1 for none, and one minus the share of that outcome.

    Shares of exclusive classes (softmax) leave to `none` what they lack to one; of others (sigmoid) the
    strongest counts against its own absence.
    """
    strongest = maps.max(axis=0)
    none = np.clip(1 - (maps.sum(axis=0) if exclusive else strongest), 0, 1)
    chosen = np.where(strongest > none, maps.argmax(axis=0), -1).astype(np.int16)
    return chosen, (1 - np.maximum(strongest, none)).astype(np.float32)
