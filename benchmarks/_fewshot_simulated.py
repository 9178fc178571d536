"""Agreement on simulated specimens, none of which chose anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from eucentric_models.fewshot import ChipEncoder, FewShotModel, SupportSet
from eucentric_models.fewshot._survey import PLACINGS, Support, Survey

SEED = 202
"""The shipped metrics were fitted to specimens of another one."""


IMAGES: dict[str, Callable[[int, int], Survey]] = {
    "changing": Survey.draw,
    "fading": Survey.draw_surface,
}
"""Regions that change from place to place, and films that fade into what covers them."""


def simulated(encoder: ChipEncoder, surveys: int) -> dict[str, dict[str, dict[str, float]]]:
    """Shares of chips, averaged over images, by kind of image and by where the support chips are from.

    Args:
        encoder: of the chips.
        surveys: how many images of each kind.
    """
    return {
        kind: _of_kind(encoder, (draw(SEED, index) for index in range(surveys)))
        for kind, draw in IMAGES.items()
    }


def _of_kind(encoder: ChipEncoder, surveys: Iterable[Survey]) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for index, survey in enumerate(surveys):
        vectors = encoder.embed(survey.chips.pixels)
        for kind, placing in enumerate(PLACINGS):
            support = survey.support(placing, np.random.default_rng((SEED, index, kind)))
            if support is not None:
                found[placing].append(_shares(survey, support, encoder, vectors))
    return {
        placing: {
            key: round(float(np.mean([one[key] for one in shares if key in one])), 4)
            for key in dict.fromkeys(key for one in shares for key in one)
        }
        for placing, shares in found.items()
    }


def _shares(
    survey: Survey, support: Support, encoder: ChipEncoder, vectors: NDArray[np.float32]
) -> dict[str, float]:
    model = FewShotModel(_support_set(survey, support, encoder), encoder)
    labels = survey.labels(support)
    judged = labels >= 0
    alone, mapped = model.classify(vectors), model.classify_frame(survey.chips, vectors)
    shares = {
        "default": float((mapped.class_id == labels)[judged].mean()),
        "always_answering": float((mapped.nearest == labels)[judged].mean()),
        "each_chip_by_itself": float((alone.nearest == labels)[judged].mean()),
        "none_of_these": float((mapped.class_id < 0)[judged].mean()),
        "confidence": float(mapped.probabilities.max(axis=1)[judged].mean()),
    }
    if len(support.regions) > 2:
        rejected = []
        for left_out in range(len(support.regions)):
            fewer = FewShotModel(_support_set(survey, support, encoder, without=left_out), encoder)
            answer = fewer.classify_frame(survey.chips, vectors)
            rejected.append(float((answer.class_id < 0)[labels == left_out].mean()))
        shares["unseen_class_rejected"] = float(np.mean(rejected))
    return shares


def _support_set(
    survey: Survey, support: Support, encoder: ChipEncoder, without: int | None = None
) -> SupportSet:
    chosen: dict[str, list[tuple[int, int]]] = {}
    for chip, class_id in zip(support.chips.tolist(), support.class_id.tolist(), strict=True):
        if class_id != without:
            place = (int(survey.chips.rows[chip]), int(survey.chips.columns[chip]))
            chosen.setdefault(str(class_id), []).append(place)
    return SupportSet.build(encoder, survey.chips, chosen)
