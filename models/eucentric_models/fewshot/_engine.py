"""The engine `chips`: a support set and its encoder, and the classes of the chips of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from eucentric_core import FrozenModel

from ..engines import EngineError, ModelDescription
from ._blends import KeptBlends
from ._chips import ChipGrid, GreyScale, cut_chips
from ._class_map import ChipFindings, ClassMap
from ._encoder import ChipEncoder
from ._encoders import DEFAULT_ENCODER, open_encoder
from ._few_shot_model import DEFAULT_FALSE_REJECT_RATE, FewShotModel
from ._neighbourhood import DEFAULT_SMOOTHNESS
from ._prototypes import NONE_OF_THESE
from ._reject_reference import RejectReference
from ._support_check import check_support
from ._support_folder import read_support, read_support_images
from ._support_set import SupportSet

_ODD_SHARE = 0.05
"""A larger share of chips that are none of the classes deserves a sentence."""
_MIDDLES, _SPREADS = (-1.0, 2.0), (0.02, 6.0)
"""Median and spread of chips on the grey scale of the image that they are from, generously."""
_OTHER_SCALE = (
    "The support chips are not on the grey scale of the image: their own black and white were used, so "
    "classes that differ in brightness alone may be confused. Chips cut from the image itself are surer."
)


class ChipsParameters(FrozenModel):
    """What a bundle says about its chips.

    Attributes:
        encoder: as :func:`open_encoder` names it; its files are the members of the bundle.
        support: named chips; None for a model that is given them when it is applied.
        grid: how images are cut; None for chips of the size of the support set.
        false_reject_rate: share of chips of the classes that may be called "none of these".
        smoothness: how much the neighbours of a chip count; 0 for not at all.
        blends: of the support chips, where the support set is kept without their pixels.
        grey_scale: `frame` for the percentiles of each image, `support` for the grey scale of the support
            set, which
            suits a series with unchanged detector settings.
    """

    encoder: str = DEFAULT_ENCODER
    support: SupportSet | None = None
    grid: ChipGrid | None = None
    false_reject_rate: Annotated[float, Field(ge=0, le=0.5)] = DEFAULT_FALSE_REJECT_RATE
    smoothness: Annotated[float, Field(ge=0, le=10)] = DEFAULT_SMOOTHNESS
    blends: KeptBlends | None = None
    grey_scale: Literal["frame", "support"] = "frame"


class ChipsModel:
    """An open few-shot model; see `EngineModel`."""

    def __init__(
        self,
        description: ModelDescription,
        encoder: ChipEncoder,
        parameters: ChipsParameters,
        reference: RejectReference | None = None,
        doubts: tuple[str, ...] = (),
    ) -> None:
        self.description = description
        self.encoder = encoder
        self.parameters = parameters
        self._reference = reference
        self._doubts = doubts
        self._model = (
            None
            if parameters.support is None
            else FewShotModel(
                parameters.support,
                encoder,
                false_reject_rate=parameters.false_reject_rate,
                smoothness=parameters.smoothness,
                blends=None if parameters.blends is None else parameters.blends.opened(),
            )
        )

    def with_support(
        self, path: Path, *, image: NDArray[np.generic] | None = None, pixel_size_m: float | None = None
    ) -> ChipsModel:
        """The same encoder with other classes: what a first use needs, in milliseconds.

        Args:
            path: a support set (.json), or a folder with one folder of chips for each class.
            image: that chips in a folder were cut from; they then share its grey scale, unless they cannot:
                chips saved with 8 bits from a frame of counts have one of their own.
            pixel_size_m: of that image.

        Raises:
            SupportSetError: the support set cannot be used.
        """
        scale, doubts = None, []
        if image is not None and path.is_dir():
            scale = GreyScale.of(image.astype(np.float32))
            if not _on_scale(path, scale):
                scale, doubts = None, [_OTHER_SCALE]
        support = read_support(path, self.encoder, grey_scale=scale, pixel_size_m=pixel_size_m)
        changed = self.parameters.model_copy(update={"support": support, "grid": None, "blends": None})
        classes = (*support.classes, NONE_OF_THESE)
        return ChipsModel(
            self.description.model_copy(update={"classes": classes}),
            self.encoder,
            changed,
            doubts=(*doubts, *(doubt.sentence for doubt in check_support(support).doubts)),
        )

    def class_map(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> ClassMap:
        """Classes of all chips of an image; see :meth:`apply`."""
        model, parameters = self._ready(), self.parameters
        scale = model.support.grey_scale if parameters.grey_scale == "support" else None
        grid = parameters.grid or _grid_of(model.support, pixel_size_m)
        chips = cut_chips(image, grid, pixel_size_m=pixel_size_m, grey_scale=scale)
        return model.class_map(chips)

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> ChipFindings:
        """Cut an image into chips and classify each.

        Args:
            image: (ny, nx) raw counts.
            pixel_size_m: chips are as large in nm as those of the support set, where both sizes are known.

        Raises:
            InvalidFrameError: the image is not a finite real 2D array.
            ChipError: the image is constant or too small.
            EngineError: the model has no support set yet.
        """
        mapped = self.class_map(image, pixel_size_m=pixel_size_m)
        rejected = mapped.shares[-1].area_fraction
        score = None if self._reference is None else self._reference.score(rejected)
        return mapped.findings(drift_score=score, unsure=(*self._doubts, *_odd(rejected)))

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """Cosine distances (n_chips, n_classes) of chips as large as those of the support set, row by row."""
        model = self._ready()
        chips = cut_chips(array, ChipGrid(chip_px=model.support.chip_px))
        return model.classify(model.encoder.embed(chips.pixels)).distances

    def _ready(self) -> FewShotModel:
        if self._model is None:
            raise EngineError(
                f"The model {self.description.name} knows no classes yet.",
                safe="nothing was classified.",
                next_step="give it a support set: --support FILE.json or a folder of folders of chips.",
            )
        return self._model


class ChipsEngine:
    """Opens few-shot models; see `Engine`."""

    name = "chips"
    takes: Literal["image", "spectra"] = "image"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> ChipsModel:
        """Open a model.

        Raises:
            EngineError: classes and parameters do not fit each other.
            EncoderError: the encoder is unknown or its files are not usable.
            SupportSetError: the support set was embedded by another encoder.
        """
        try:
            parameters = ChipsParameters.model_validate(description.parameters)
        except ValidationError as error:
            raise _unusable(f"its parameters are wrong ({error})") from error
        named = () if parameters.support is None else (*parameters.support.classes, NONE_OF_THESE)
        if description.classes != named:
            raise _unusable(f"it names the classes {description.classes}, its support set {named}")
        reference = description.drift_reference
        return ChipsModel(
            description,
            open_encoder(parameters.encoder, folder, device=device),
            parameters,
            None if reference is None else RejectReference.from_json((folder / reference).read_bytes()),
        )


CHIPS = ChipsEngine()


def _grid_of(support: SupportSet, pixel_size_m: float | None) -> ChipGrid:
    """Chips of the size of the support set: in nm where both frames are calibrated, in pixels otherwise."""
    if support.pixel_size_m is None or pixel_size_m is None:
        return ChipGrid(chip_px=support.chip_px)
    return ChipGrid(chip_nm=support.chip_px * support.pixel_size_m * 1e9)


def _on_scale(folder: Path, scale: GreyScale) -> bool:
    """Whether chips may be from an image with this grey scale: not far darker, brighter or flatter."""
    chips = [pixels.ravel() for named in read_support_images(folder).values() for _, pixels in named]
    low, middle, high = np.percentile(scale.applied(np.concatenate(chips).astype(np.float32)), [1, 50, 99.5])
    return bool(_MIDDLES[0] <= middle <= _MIDDLES[1] and _SPREADS[0] <= high - low <= _SPREADS[1])


def _odd(rejected: float) -> tuple[str, ...]:
    if rejected <= _ODD_SHARE:
        return ()
    return (
        f"{rejected:.0%} of the chips are none of the classes: look at them, "
        "and give support chips for what they show if it matters.",
    )


def _unusable(reason: str) -> EngineError:
    return EngineError(
        f"The few-shot model cannot be used: {reason}.",
        safe="nothing was classified.",
        next_step="see how this model was built; build it again.",
    )
