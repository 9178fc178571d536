"""Which labelled columns a champion misses, so that a retraining looks harder at them (Ghosh et al. 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eucentric_models import Decoding, Detections
from eucentric_models.networks import Ensemble

from ._evaluation import Judging
from ._training_set import TrainingSet


def missed_rows(
    found: Detections, truth: NDArray[np.floating], n_classes: int, tolerance_px: float
) -> NDArray[np.bool_]:
    """Which columns have no detection of their class within reach.

    Args:
        found: detections.
        truth: (n, 3) or more columns, ``y_px, x_px, class_id``.
        n_classes: detectable classes; columns of others are never missed.
        tolerance_px: reach.

    Returns:
        (n,) bool.
    """
    missed = truth[:, 2] < n_classes
    for class_id in range(n_classes):
        rows = np.flatnonzero(truth[:, 2] == class_id)
        places = found.positions_px[found.class_id == class_id]
        for some in np.array_split(rows, max(1, len(rows) // 256)):
            squared = np.square(truth[some, None, :2] - places[None]).sum(axis=2)
            missed[some] = squared.min(axis=1, initial=np.inf) > tolerance_px**2
    return missed


def with_focus(
    data: TrainingSet,
    champion: Ensemble,
    decoding: Decoding,
    judging: Judging,
    missed_weight: float,
) -> TrainingSet:
    """The set with a weight for every labelled column: that of what the champion misses, or 1.

    Args:
        data: frames; those without truth stay as they are.
        champion: the model in production, as it is used: asked in one orientation.
        decoding: its threshold and separation.
        judging: within which distance a column counts as found.
        missed_weight: of a column that it misses, >= 1.
    """
    truths: list[NDArray[np.float32] | None] = []
    for frame, truth, pixel_size_m in zip(data.frames, data.truths, data.pixel_sizes_m, strict=True):
        if truth is None:
            truths.append(None)
            continue
        found = champion.infer(frame, pixel_size_m=pixel_size_m).detections(decoding)
        missed = missed_rows(found, truth, champion.spec.n_classes, judging.tolerance_m / pixel_size_m)
        weight = np.where(missed, missed_weight, 1.0)
        truths.append(np.column_stack([truth[:, :3], weight]).astype(np.float32))
    return TrainingSet(data.frames, tuple(truths), data.pixel_sizes_m)
