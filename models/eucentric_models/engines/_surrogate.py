"""The engine `surrogate`: a property that is slow to measure, predicted from patches of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..surrogate import PatchGrid, PropertyMap, SurrogateSpec, patches_at
from ._description import ModelDescription
from ._errors import unusable_model

if TYPE_CHECKING:
    from ..surrogate.process import DeepKernelProcess

__all__ = ["SURROGATE", "PatchReference", "SurrogateEngine", "SurrogateModel"]

_MAX_POINTS = 20_000


class PatchReference(BaseModel):
    """What patches look like where something was measured.

    Attributes:
        quantiles: of the mean absolute value of a patch in units of its image, at 1 %, 50 % and 99 %.
        patches: how many it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantiles: tuple[float, float, float]
    patches: int = Field(ge=1)

    def score(self, patches: NDArray[np.float32]) -> float:
        """How far the median of others is from this median, over the way to the 1 % or 99 % quantile."""
        low, middle, high = self.quantiles
        typical = float(np.median(np.abs(patches).mean(axis=1)))
        edge = high - middle if typical > middle else middle - low
        return abs(typical - middle) / max(edge, 1e-9)


class SurrogateModel:
    """An open surrogate; see `EngineModel`."""

    def __init__(
        self, description: ModelDescription, process: DeepKernelProcess, reference: PatchReference | None
    ) -> None:
        self.description = description
        self._process = process
        self._reference = reference

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> PropertyMap:
        """Predict the property on a grid over an image.

        Args:
            image: (ny, nx) raw values, like those of the image that was measured on.
            pixel_size_m: not used.

        Raises:
            InvalidFrameError: the image is smaller than a patch, or not a finite real 2D array.
        """
        shape = np.shape(image)
        patch_px = self._process.spec.patch_px
        stride_px = max(1, patch_px // 5, int(np.ceil(np.sqrt(np.prod(shape) / _MAX_POINTS))))
        if len(shape) != 2:
            shape = (0, 0)
        grid = PatchGrid.of_image((shape[0], shape[1]), patch_px=patch_px, stride_px=stride_px)
        patches = patches_at(image, grid.positions_px, patch_px)
        value, deviation = self._process.predict(patches)
        drift_score = None if self._reference is None else self._reference.score(patches)
        doubts = []
        if drift_score is not None and drift_score > 1:
            doubts.append(
                f"The image is unlike the one that was measured on (drift score {drift_score:.2f})."
            )
        return PropertyMap(
            positions_px=grid.positions_px,
            value=value,
            uncertainty=deviation,
            name=self.description.classes[0],
            stride_px=stride_px,
            drift_score=drift_score,
            unsure=tuple(doubts),
        )

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """Mean and standard deviation, (n, 2), for patches (n, patch_px ** 2)."""
        return np.stack(self._process.predict(np.asarray(array, np.float32)), axis=1).astype(np.float32)


class SurrogateEngine:
    """Opens surrogates; see `Engine`. Needs gpytorch."""

    name = "surrogate"
    takes: Literal["image", "spectra"] = "image"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> SurrogateModel:
        """Open a surrogate; it always runs on the CPU.

        Raises:
            EngineError: parameters, members or the drift reference are none of this engine.
            WeightsError: weights are unreadable or do not fit.
        """
        from ..surrogate.process import DeepKernelProcess  # gpytorch, only for who opens a model

        if len(description.members) != 1 or len(description.classes) != 1:
            raise unusable_model("A surrogate has one member and predicts one property.")
        try:
            spec = SurrogateSpec.model_validate(description.parameters)
            reference = None
            if description.drift_reference is not None:
                content = (folder / description.drift_reference).read_bytes()
                reference = PatchReference.model_validate_json(content)
        except (ValidationError, OSError) as error:
            raise unusable_model(f"The parameters of the surrogate are not usable: {error}.") from error
        process = DeepKernelProcess.from_bytes(spec, (folder / description.members[0]).read_bytes())
        return SurrogateModel(description, process, reference)


SURROGATE = SurrogateEngine()
