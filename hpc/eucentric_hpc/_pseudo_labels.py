"""Labels that the champion proposes for frames without truth, kept only where it is sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eucentric_models import Decoding, Detections, decode
from eucentric_models.networks import Ensemble


class PseudoLabelling(BaseModel):
    """When the champion's word is good enough to train on.

    Attributes:
        confidence_bound: a detection at least this confident becomes a label; a weaker one marks a place that
            the loss leaves out.
        smallest_sure_share: a frame is used only when at least this share of its detections is sure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence_bound: float = Field(default=0.8, gt=0, lt=1)
    smallest_sure_share: float = Field(default=0.6, ge=0, le=1)


def pseudo_truth(
    champion: Ensemble, frame: NDArray[np.generic], decoding: Decoding, rule: PseudoLabelling
) -> NDArray[np.float32] | None:
    """Truth rows that the champion proposes for a raw (ny, nx) frame; see :func:`sure_labels`."""
    return sure_labels(decode(champion.infer(frame).maps, decoding), rule, champion.spec.n_classes)


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
