"""Labels that the champion proposes for frames without truth, kept only where it is sure."""

from __future__ import annotations

import numpy as np
from eucentric_models import Decoding, decode
from eucentric_models.networks import Ensemble
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


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
    """Truth rows proposed by the champion.

    Args:
        champion: ensemble in production.
        frame: (ny, nx) raw counts.
        decoding: threshold and separation.
        rule: when to believe it.

    Returns:
        (n, 3) float32 rows ``y_px, x_px, class_id``, unsure places with class id ``n_classes``; None when the
        champion found nothing or is too often unsure.
    """
    detections = decode(champion.infer(frame).maps, decoding)
    sure = detections.confidence >= rule.confidence_bound
    if not len(detections) or sure.mean() < max(rule.smallest_sure_share, 1e-9):
        return None
    class_id = np.where(sure, detections.class_id, champion.spec.n_classes)
    return np.column_stack([detections.positions_px, class_id]).astype(np.float32)
