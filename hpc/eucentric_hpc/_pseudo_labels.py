"""Labels that the champion proposes for frames without truth, kept only where it is sure."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eucentric_models import Decoding, Detections
from eucentric_models.networks import Ensemble

_SYMMETRIES = 8
_Number = TypeVar("_Number", bound=np.generic)


class PseudoLabelling(BaseModel):
    """When the champion's word is good enough to train on.

    Attributes:
        confidence_bound: a detection at least this confident becomes a label; a weaker one marks a place that
            the loss leaves out.
        smallest_sure_share: a frame is used only when at least this share of its detections is sure.
        symmetries: ask the champion about the frame in all eight orientations and take the mean of its
            answers, which also finds features that it misses in any single one; eight times the work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence_bound: float = Field(default=0.8, gt=0, lt=1)
    smallest_sure_share: float = Field(default=0.6, ge=0, le=1)
    symmetries: bool = False


def pseudo_truth(
    champion: Ensemble,
    frame: NDArray[np.generic],
    decoding: Decoding,
    rule: PseudoLabelling,
    *,
    pixel_size_m: float | None = None,
) -> NDArray[np.float32] | None:
    """Truth rows that the champion proposes for a raw (ny, nx) frame; see :func:`sure_labels`."""
    inference = champion.infer(frame, pixel_size_m=pixel_size_m)
    if rule.symmetries:
        turned = [
            _turned(champion.infer(_turned(frame, turn), pixel_size_m=pixel_size_m).maps, -turn)
            for turn in range(1, _SYMMETRIES)
        ]
        inference = replace(inference, maps=np.mean([inference.maps, *turned], axis=0, dtype=np.float32))
    return sure_labels(inference.detections(decoding), rule, champion.spec.n_classes)


def _turned(array: NDArray[_Number], turn: int) -> NDArray[_Number]:
    """One of the eight symmetries of the last two axes; a negative one is undone."""
    quarters, mirrored = divmod(abs(turn), 2)
    if turn >= 0:
        array = array[..., ::-1] if mirrored else array
        return np.ascontiguousarray(np.rot90(array, quarters, axes=(-2, -1)))
    array = np.rot90(array, -quarters, axes=(-2, -1))
    return np.ascontiguousarray(array[..., ::-1] if mirrored else array)


def sure_labels(detections: Detections, rule: PseudoLabelling, n_classes: int) -> NDArray[np.float32] | None:
    """Labels from detections that are sure enough.

    Args:
        detections: what the champion found.
        rule: when to believe it.
        n_classes: number of detectable classes.

    Returns:
        (n, 3) float32 rows ``y_px, x_px, class_id``, unsure places with class id ``n_classes``; None when
        nothing was found or too little of it is sure.
    """
    sure = detections.confidence >= rule.confidence_bound
    if not sure.any() or sure.mean() < rule.smallest_sure_share:
        return None
    class_id = np.where(sure, detections.class_id, n_classes)
    return np.column_stack([detections.positions_px, class_id]).astype(np.float32)
