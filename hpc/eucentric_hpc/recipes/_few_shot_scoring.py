"""How many chips a few-shot model calls by the names that somebody gave them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from eucentric_models import ModelsError
from eucentric_models.engines import EngineModel, Findings
from eucentric_models.fewshot import ChipsModel, SupportSet, distances_to, fit_prototypes, read_support_images

from .._training_errors import TrainingDataError
from ._data import RecipeData
from ._scoring import Merit

__all__ = ["FEW_SHOT_MERITS", "score_few_shot"]

FEW_SHOT_MERITS = (Merit(name="agreement", better="higher", bound=0.5),)


def score_few_shot(model: EngineModel, data: RecipeData) -> dict[str, float]:
    """How many named chips get their own name.

    Chips of a folder are laid side by side into one image, so that they share a grey scale, and have it
    analysed. Each chip of a support set (`.json`) is classified by itself; one that is a support chip of the
    model is left out of it for that, so that a model can be judged by the very set that it was made of.

    Args:
        model: of the engine `chips`.
        data: `support` is a support set, or a folder with a folder of chips of one size for each class, none
            of them one of the model's support chips.

    Returns:
        `agreement`, the share of the chips that get their own name, and `chips`.

    Raises:
        TrainingDataError: there is no such folder or set, or its chips differ in size.
        ModelsError: the model cannot be applied.
    """
    if data.one("support").suffix == ".json":
        return _left_out(model, data.one("support"))
    try:
        named = read_support_images(data.one("support"))
    except (OSError, ModelsError) as error:
        reason = error.what if isinstance(error, ModelsError) else str(error)
        raise _unfit(reason.rstrip(".")) from error
    chips = [(label, chip) for label, found in named.items() for _, chip in found]
    shapes = {chip.shape for _, chip in chips}
    if len(shapes) != 1:
        raise _unfit(f"they have {len(shapes)} sizes")
    ((height, width),) = shapes
    across = math.ceil(math.sqrt(len(chips)))
    # A chip is repeated where the last row has room: a border of one grey would change the grey scale.
    rows = -(-len(chips) // across)
    laid = [chips[index % len(chips)][1] for index in range(rows * across)]
    image = np.block([laid[row * across : (row + 1) * across] for row in range(rows)])
    found = model.apply(image, pixel_size_m=None)
    if not isinstance(found, Findings) or not len(found.positions_px):
        raise _unfit("the model finds no chips in them")
    right = 0
    for index, (label, _) in enumerate(chips):
        middle = np.array([(index // across + 0.5) * height - 0.5, (index % across + 0.5) * width - 0.5])
        nearest = int(np.argmin(((found.positions_px - middle) ** 2).sum(axis=1)))
        right += found.classes[int(found.class_id[nearest])] == label
    return {"agreement": right / len(chips), "chips": float(len(chips))}


def _left_out(model: EngineModel, path: Path) -> dict[str, float]:
    if not isinstance(model, ChipsModel) or model.parameters.support is None:
        raise _unfit("the model has no support chips")
    own = model.parameters.support
    try:
        judged = SupportSet.from_json(path.read_bytes()).embedded_by(model.encoder)
    except (OSError, ModelsError) as error:
        reason = error.what if isinstance(error, ModelsError) else str(error)
        raise _unfit(reason.rstrip(".")) from error
    hashes = np.array([chip.sha256 for chip in own.chips])
    vectors, class_id = own.vectors, own.class_id
    right = 0
    for chip, vector in zip(judged.chips, judged.vectors, strict=True):
        others = hashes != chip.sha256
        # A class of which nothing else is known cannot be recognised.
        known = np.unique(class_id[others])
        prototypes = fit_prototypes(vectors[others], np.searchsorted(known, class_id[others]))
        nearest = int(distances_to(*prototypes, vector[None])[0].argmin())
        right += own.classes[int(known[nearest])] == chip.label
    return {"agreement": right / len(judged.chips), "chips": float(len(judged.chips))}


def _unfit(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"No few-shot model can be judged by these chips: {reason}.",
        safe="nothing was published.",
        next_step="put named chips, other than the support chips, into the folder support-holdout, "
        "or give a support set (.json).",
    )
