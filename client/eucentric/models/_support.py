"""A support set for a model that has none, or for classes of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eucentric_core import ConfigurationError
from eucentric_models.fewshot import ChipsModel

from ._image import CalibratedImages
from ._named import OpenedModel

__all__ = ["with_support"]


def with_support(opened: OpenedModel, support: Path, images: CalibratedImages) -> OpenedModel:
    """The model with the classes of a support set.

    Args:
        opened: a few-shot model.
        support: a support set (.json), or a folder with one folder of chips for each class, cut from the
            first
            image.
        images: to be analysed.

    Raises:
        ConfigurationError: the model is no few-shot model.
        SupportSetError: the support set cannot be used.
    """
    if not isinstance(opened.model, ChipsModel):
        raise ConfigurationError(
            f"The model {opened.model.description.name} finds "
            f"{opened.model.description.engine} and takes no support set.",
            safe="nothing was written.",
            next_step="name a few-shot model, as --model textures, or leave out --support.",
        )
    model = opened.model.with_support(support, image=images.stack[0], pixel_size_m=images.pixel_size_m)
    return replace(opened, model=model)
