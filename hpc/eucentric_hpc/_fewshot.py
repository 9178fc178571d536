"""The work of the recipe `few-shot`: from chips with names to the files of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric_core import FrozenModel, write_atomic
from eucentric_models.engines import ModelDescription, read_plain_array
from eucentric_models.fewshot import (
    DEFAULT_ENCODER,
    DEFAULT_FALSE_REJECT_RATE,
    DEFAULT_SMOOTHNESS,
    NONE_OF_THESE,
    ChipEncoder,
    ChipGrid,
    ChipsModel,
    ChipsParameters,
    FewShotModel,
    GreyScale,
    RejectReference,
    SupportReport,
    SupportSet,
    check_support,
    open_encoder,
    read_support,
)

REFERENCE_FILE = "drift-reference.json"
GOLDEN_FRAME_FILE, GOLDEN_ANSWER_FILE = "golden-frame.npy", "golden-answer.npy"
SUPPORT_FILE = "support-set.json"


class FewShotParameters(FrozenModel):
    """Parameters of the recipe `few-shot`.

    Attributes:
        encoder: as `open_encoder` of `eucentric_models.fewshot` names it.
        checkpoint: safetensors file with the weights of a network of the site; None for encoders that are
            shipped.
        grid: how images will be cut; None for chips of the size of the support set.
        false_reject_rate: share of chips of the classes that may be called "none of these".
        smoothness: how much the neighbours of a chip count; 0 for not at all.
        grey_scale: `frame` for the percentiles of each image, `support` for the grey scale of the support
            set.
        pixel_size_m: of the image that chips in a folder were cut from, None if unknown.
    """

    encoder: str = DEFAULT_ENCODER
    checkpoint: Path | None = None
    grid: ChipGrid | None = None
    false_reject_rate: Annotated[float, Field(ge=0, le=0.5)] = DEFAULT_FALSE_REJECT_RATE
    smoothness: Annotated[float, Field(ge=0, le=10)] = DEFAULT_SMOOTHNESS
    grey_scale: Literal["frame", "support"] = "frame"
    pixel_size_m: Annotated[float, Field(gt=0, le=1e-3)] | None = None


class FewShotRequest(FrozenModel):
    """What a worker is asked to do.

    Attributes:
        support: a JSON file, or a folder with one folder of chips for each class.
        image: `.npy` of an image of the kind that will be analysed, best the one the chips were cut from.
        parameters: of the recipe.
        work_dir: where results are written.
    """

    support: Path
    image: Path | None
    parameters: FewShotParameters
    work_dir: Path


class FewShotResult(FrozenModel):
    """What a worker has written.

    Attributes:
        parameters: of the engine.
        members: files of the encoder, in the work folder.
        report: outcome of the check of the support set.
        rejected: share of the chips of the image that are none of the classes, None without an image.
        digest: of the support set.
    """

    parameters: ChipsParameters
    members: tuple[str, ...]
    report: SupportReport
    rejected: float | None
    digest: str


def opened_support(
    support: Path, image: Path | None, parameters: FewShotParameters
) -> tuple[SupportSet, ChipEncoder, NDArray[np.generic] | None]:
    """Read and embed the support set; nothing is written.

    Raises:
        ModelsError: encoder, chips or image cannot be used.
    """
    encoder = open_encoder(parameters.encoder, parameters.checkpoint)
    frame = None if image is None else read_plain_array(image)
    scale = None if frame is None or not support.is_dir() else GreyScale.of(frame.astype(np.float32))
    found = read_support(support, encoder, grey_scale=scale, pixel_size_m=parameters.pixel_size_m)
    return found, encoder, frame


def make_few_shot(request: FewShotRequest) -> FewShotResult:
    """Embed a support set and write everything that a bundle needs.

    Raises:
        ModelsError: encoder, chips or image cannot be used.
    """
    given = request.parameters
    support, encoder, frame = opened_support(request.support, request.image, given)
    request.work_dir.mkdir(parents=True, exist_ok=True)
    blends = FewShotModel(support, encoder).blends
    parameters = ChipsParameters(
        encoder=given.encoder,
        support=support.without_pixels(),
        blends=None if blends is None else blends.kept(),
        grid=given.grid,
        false_reject_rate=given.false_reject_rate,
        smoothness=given.smoothness,
        grey_scale=given.grey_scale,
    )
    model = ChipsModel(_description(parameters), encoder, parameters)
    rejected = None
    if frame is not None:
        mapped = model.class_map(frame, pixel_size_m=support.pixel_size_m)
        rejected = mapped.shares[-1].area_fraction
    for name, blob in encoder.files().items():
        write_atomic(request.work_dir / name, blob)
    reference = RejectReference.of(rejected, given.false_reject_rate)
    write_atomic(request.work_dir / REFERENCE_FILE, reference.model_dump_json().encode() + b"\n")
    write_atomic(request.work_dir / SUPPORT_FILE, support.to_json())
    golden = support.montage()
    np.save(request.work_dir / GOLDEN_FRAME_FILE, golden, allow_pickle=False)
    np.save(request.work_dir / GOLDEN_ANSWER_FILE, model.answer(golden), allow_pickle=False)
    return FewShotResult(
        parameters=parameters,
        members=tuple(encoder.files()),
        report=check_support(support),
        rejected=rejected,
        digest=support.digest,
    )


def _description(parameters: ChipsParameters) -> ModelDescription:
    support = parameters.support
    named = () if support is None else (*support.classes, NONE_OF_THESE)
    return ModelDescription(name="few-shot", version=1, engine="chips", classes=named)
