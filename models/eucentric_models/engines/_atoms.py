"""The engine `atoms`: an ensemble of heat map networks, and the columns that its maps show."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, JsonValue, ValidationError

from ..contrast import inverted, skewness
from ..decoding import Decoding, Detections
from ..drift import DriftReference
from ..edge_doubles import without_edge_doubles
from ..errors import InvalidFrameError
from ..lattice_scale import guessed_pixel_size_m
from ..network_spec import NetworkSpec
from ..preprocessing import Preprocessing, at_working_size
from ..translations import common_translations
from ._description import ModelDescription
from ._errors import unusable_model
from ._findings import Findings
from ._live import LiveAnswer

if TYPE_CHECKING:
    from ..backends import EnsembleSource, ServedEnsemble
    from ..networks import Ensemble, Inference

__all__ = ["ATOMS", "AtomsEngine", "AtomsModel", "LiveAtomsModel"]

_Part = TypeVar("_Part", bound=BaseModel)
_DOUBTFUL = 0.5
"""A column of less confidence is called doubtful."""
_DARK_SKEWNESS = -0.2
_CLEARLY_SURER_NATS = 0.03
"""By so much the ensemble is surer of the right one of an image and its negative, on simulated frames."""
_FEWEST_IN_ORDER = 24
_TRIED_SCALES = (2**-0.5, 1.0, 2**0.5, 2.0)
"""Lattice planes are further apart than the guess takes them to be, more often than closer."""
_TRIED_SIDE_PX = 1024


class AtomsModel:
    """An open ensemble; see `EngineModel`."""

    def __init__(
        self,
        description: ModelDescription,
        ensemble: Ensemble | ServedEnsemble,
        decoding: Decoding,
        drift_reference: DriftReference | None,
        *,
        source: EnsembleSource,
    ) -> None:
        self.description = description
        self._ensemble = ensemble
        self._source = source
        self._decoding = decoding
        self._drift_reference = drift_reference

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> Findings:
        """Find the columns of one image.

        Args:
            image: (ny, nx) raw counts, each side at least the network's size multiple.
            pixel_size_m: takes the image to the pixel size at which the network works, if it has one;
                where it is None, one is guessed from the lattice, and said so.

        Returns:
            Points by falling confidence; `uncertainty` is the standard deviation of the members'
            probabilities at the nearest pixel.

        Raises:
            InvalidFrameError: the image is too small, or not a finite real 2D array.
        """
        guesses: tuple[str, ...] = ()
        if pixel_size_m is None and self._ensemble.preprocessing.working_pixel_size_m is not None:
            pixel_size_m = self._surest_pixel_size_m(image)
            guesses = _about_guess(pixel_size_m)
        inference, contrast = self._inferred(image, pixel_size_m)
        shape = (image.shape[0], image.shape[1])
        found = without_edge_doubles(inference.detections(self._decoding), shape)
        reference = self._drift_reference
        drift_score = None if reference is None else reference.score(inference.features)
        return Findings(
            positions_px=found.positions_px,
            class_id=found.class_id,
            confidence=found.confidence,
            uncertainty=inference.deviation_at(found.positions_px),
            classes=self.description.classes,
            drift_score=drift_score,
            unsure=(*guesses, *contrast, *_doubts(found, drift_score)),
        )

    def _surest_pixel_size_m(self, image: NDArray[np.generic]) -> float | None:
        """Of the sizes around the one guessed from the lattice, that at which the ensemble doubts least."""
        guess_m = guessed_pixel_size_m(image)
        if guess_m is None:
            return None
        middle = _middle(image)
        doubts: dict[float, float] = {}
        for factor in _TRIED_SCALES:
            try:
                inference = self._ensemble.infer(middle, pixel_size_m=guess_m * factor)
            except InvalidFrameError:
                continue  # too small or too far away at this scale
            doubts[guess_m * factor] = inference.mean_entropy
        return min(doubts, key=lambda size_m: doubts[size_m]) if doubts else guess_m

    def _inferred(
        self, image: NDArray[np.generic], pixel_size_m: float | None
    ) -> tuple[Inference, tuple[str, ...]]:
        """What the ensemble says of the image, or of its negative where that is what it knows."""
        inference = self._ensemble.infer(image, pixel_size_m=pixel_size_m)
        working, _ = at_working_size(image, self._ensemble.preprocessing, pixel_size_m)
        if skewness(working) > _DARK_SKEWNESS:
            return inference, ()
        negative = self._ensemble.infer(inverted(image), pixel_size_m=pixel_size_m)
        if negative.mean_entropy < inference.mean_entropy - _CLEARLY_SURER_NATS:
            return negative, (
                "Columns seem to be darker than their surroundings, as in annular bright field: the image "
                "was analysed with bright and dark exchanged.",
            )
        return inference, (
            "It is not clear whether columns are bright or dark here: bright ones were looked for.",
        )

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """The mean heat maps, (n_classes, ny, nx).

        Raises:
            DriftReferenceError: the reference belongs to another ensemble; it would call everything strange.
        """
        inference = self._ensemble.infer(array)
        if self._drift_reference is not None:
            self._drift_reference.score(inference.features)
        return inference.maps

    @property
    def reference(self) -> str:
        """See `PortableModel`."""
        from ..backends import REFERENCE

        return REFERENCE

    def on_backend(self, name: str, *, threads: int, batch: int = 1) -> LiveAtomsModel:
        """The same ensemble on a back end; see `PortableModel`.

        Raises:
            BackendUnavailableError: this machine does not have it.
        """
        from ..backends import ServedEnsemble, backend_named

        served = ServedEnsemble(
            self._source,
            backend_named(name),
            preprocessing=self._ensemble.preprocessing,
            threads=threads,
            batch=batch,
        )
        return LiveAtomsModel(
            self.description, served, self._decoding, self._drift_reference, source=self._source
        )


class LiveAtomsModel(AtomsModel):
    """An open ensemble on a back end; see `LiveModel`."""

    def __init__(
        self,
        description: ModelDescription,
        ensemble: ServedEnsemble,
        decoding: Decoding,
        drift_reference: DriftReference | None,
        *,
        source: EnsembleSource,
    ) -> None:
        super().__init__(description, ensemble, decoding, drift_reference, source=source)
        self._served = ensemble

    def live(
        self, images: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[LiveAnswer]:
        """Streams `detections`, (n, 4) float32, and `uncertainty`, (ny, nx) float16, of each image.

        Raises:
            InvalidFrameError: an image is too small, or not a finite real 2D array.
            BackendError: the runtime failed.
        """
        inferences, stages_s = self._served.infer_timed(images, pixel_sizes_m=pixel_sizes_m)
        return [self._live(inference, stages_s) for inference in inferences]

    def close(self) -> None:
        """Give the back end's memory and threads back."""
        self._served.close()

    def _live(self, inference: Inference, stages_s: Mapping[str, float]) -> LiveAnswer:
        started_s = time.perf_counter()
        rows = inference.detections(self._decoding).rows
        reference = self._drift_reference
        entropy = inference.mean_entropy
        return LiveAnswer(
            arrays={"detections": rows, "uncertainty": inference.deviation.astype(np.float16)},
            mean_uncertainty=float(inference.deviation.mean()),
            mean_entropy_nats=entropy,
            entropy_ratio=1.0 if reference is None else reference.quality_proxy(entropy),
            drift_score=0.0 if reference is None else reference.score(inference.features),
            stages_s={**stages_s, "decoding": time.perf_counter() - started_s},
        )


class AtomsEngine:
    """Opens ensembles; see `Engine`."""

    name = "atoms"
    takes: Literal["image", "spectra"] = "image"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> AtomsModel:
        """Open an ensemble.

        Raises:
            EngineError: architecture, classes and parameters do not fit each other.
            WeightsError: weights are unreadable or do not fit.
            DriftReferenceError: the drift reference is none.
        """
        from ..backends import EnsembleSource
        from ..networks import Ensemble  # torch, only for who opens a model

        spec = _part(NetworkSpec, description.network, "network")
        if spec.n_classes != len(description.classes) or not description.members:
            raise unusable_model(
                f"{len(description.classes)} classes and {len(description.members)} members are named "
                f"for a network with {spec.n_classes} heat maps."
            )
        reference = description.drift_reference
        source = EnsembleSource(spec, tuple((folder / member).read_bytes() for member in description.members))
        ensemble = Ensemble(
            spec,
            source.members,
            preprocessing=_part(Preprocessing, description.preprocessing, "preprocessing"),
            device=device,
        )
        return AtomsModel(
            description,
            ensemble,
            _part(Decoding, description.decoding, "decoding"),
            None if reference is None else DriftReference.from_json((folder / reference).read_bytes()),
            source=source,
        )


ATOMS = AtomsEngine()


def _part(kind: type[_Part], values: dict[str, JsonValue], name: str) -> _Part:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise unusable_model(f"The {name} of the model is not usable: {error}.") from error


def _middle(image: NDArray[np.generic]) -> NDArray[np.generic]:
    top, left = (max(0, (side - _TRIED_SIDE_PX) // 2) for side in image.shape)
    return np.ascontiguousarray(image[top : top + _TRIED_SIDE_PX, left : left + _TRIED_SIDE_PX])


def _about_guess(pixel_size_m: float | None) -> tuple[str, ...]:
    if pixel_size_m is None:
        return ("The pixel size is not known and no lattice is seen: the image was taken as it is.",)
    return (
        f"The pixel size is not known; {pixel_size_m * 1e12:.3g} pm was guessed from the lattice, and from "
        "where the model is surest, to find the columns by. Lengths in metres need a calibration.",
    )


def _doubts(found: Detections, drift_score: float | None) -> tuple[str, ...]:
    doubts = []
    if not len(found):
        doubts.append("No column was found.")
    elif doubtful := int((found.confidence < _DOUBTFUL).sum()):
        doubts.append(f"{doubtful} of {len(found)} columns have a confidence below {_DOUBTFUL}.")
    if len(found) >= _FEWEST_IN_ORDER and not len(common_translations(found.positions_px, found.class_id)):
        doubts.append("What was found is in no order: there may be no atomic columns in this image.")
    if drift_score is not None and drift_score > 1:
        doubts.append(f"The image is unlike those the model was trained on (drift score {drift_score:.2f}).")
    return tuple(doubts)
