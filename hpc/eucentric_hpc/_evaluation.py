"""How an ensemble does on a labelled set: detection quality, calibration and what normal input looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eucentric_models import (
    DEFAULT_DECODING,
    Decoding,
    Detections,
    DriftReference,
    FrameJudgement,
    Score,
    expected_calibration_error,
    judge_frame,
    total,
)
from eucentric_models.networks import Ensemble

from ._training_set import TrainingSet


class Judging(BaseModel):
    """What counts as a right detection.

    Attributes:
        tolerance_m: largest distance between a detection and its column.
        border_m: width of the frame edge that is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance_m: float = Field(default=60e-12, gt=0, le=1e-6)
    border_m: float = Field(default=120e-12, ge=0, le=1e-6)


DEFAULT_JUDGING = Judging()

_WINDOWS_PER_FRAME = 2
_WINDOW_SHARE = 15 / 16
"""Side of a reference window over that of its frame: the power spectrum changes with much smaller ones."""


def evaluate_ensemble(
    ensemble: Ensemble,
    data: TrainingSet,
    *,
    classes: Sequence[str] = (),
    decoding: Decoding = DEFAULT_DECODING,
    judging: Judging = DEFAULT_JUDGING,
) -> dict[str, float]:
    """Metrics over the labelled frames of a set.

    Args:
        ensemble: the model.
        data: frames; those without truth are left out.
        classes: names for the per-class figures; the class id where there is none.
        decoding: threshold and separation.
        judging: tolerance and border.

    Returns:
        ``f1``, ``precision``, ``recall`` (micro), ``calibration_error``, ``mean_entropy``, ``frames``,
        ``f1_<class>`` for each class, and ``position_rmse_m`` when anything was found.
    """
    score, confidence, correct, entropies = looked_at(ensemble, data, decoding, judging)
    names = [classes[i] if i < len(classes) else str(i) for i in range(ensemble.spec.n_classes)]
    metrics = {
        "f1": score.f1,
        "precision": score.precision,
        "recall": score.recall,
        "frames": float(score.frames),
        "mean_entropy": float(np.mean(entropies)) if entropies else 0.0,
        "calibration_error": expected_calibration_error(confidence, correct),
    }
    metrics |= {f"f1_{names[i]}": counts.f1 for i, counts in score.per_class.items()}
    if score.position_rmse_m is not None:
        metrics["position_rmse_m"] = score.position_rmse_m
    return metrics


def drift_reference(
    ensemble: Ensemble, frames: Sequence[NDArray[np.generic]], rng: np.random.Generator
) -> DriftReference:
    """What normal input looks like to this ensemble.

    Frames of one recording show one place and resemble their neighbours in time, so a reference made of
    them as they are would call the next place drift. Each frame is therefore looked at through windows a
    little smaller than itself, at random places, turned and mirrored: what chance put into the field of
    view varies, the imaging conditions do not.

    Args:
        ensemble: whose features are meant.
        frames: (ny, nx) each, at least 5.
        rng: source of the windows.

    Raises:
        DriftReferenceError: fewer than 5 frames.
    """
    inferences = [ensemble.infer(_window(frame, rng)) for frame in frames for _ in range(_WINDOWS_PER_FRAME)]
    return DriftReference.fit(
        [inference.features for inference in inferences],
        [inference.mean_entropy for inference in inferences],
        views_per_frame=_WINDOWS_PER_FRAME,
    )


def _window(frame: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    ny, nx = (max(1, round(side * _WINDOW_SHARE)) for side in frame.shape)
    top, left = (
        int(rng.integers(whole - part + 1)) for whole, part in zip(frame.shape, (ny, nx), strict=True)
    )
    window = np.rot90(frame[top : top + ny, left : left + nx], int(rng.integers(4)))
    return np.ascontiguousarray(window[::-1] if rng.random() < 0.5 else window)


def looked_at(
    ensemble: Ensemble, data: TrainingSet, decoding: Decoding, judging: Judging
) -> tuple[Score, NDArray[np.float32], NDArray[np.bool_], list[float]]:
    """Score, confidence and correctness of every counted detection, and mean entropy of every frame."""
    n_classes = ensemble.spec.n_classes
    scores: list[Score] = []
    confidences: list[NDArray[np.float32]] = []
    hits: list[NDArray[np.bool_]] = []
    entropies: list[float] = []
    for index in data.labelled:
        inference = ensemble.infer(data.frames[index], pixel_size_m=data.pixel_sizes_m[index])
        detections = inference.detections(decoding)
        judgement = judged(detections, data, int(index), n_classes, judging)
        scores.append(judgement.score)
        confidences.append(detections.confidence[judgement.counted])
        hits.append(judgement.correct[judgement.counted])
        entropies.append(inference.mean_entropy)
    return (
        total(scores),
        np.concatenate([*confidences, np.empty(0, np.float32)]),
        np.concatenate([*hits, np.empty(0, np.bool_)]),
        entropies,
    )


def judged(
    detections: Detections, data: TrainingSet, index: int, n_classes: int, judging: Judging
) -> FrameJudgement:
    """What the truth says of the detections of one frame of a set; one without truth has no columns."""
    frame, truth = data.frames[index], data.truths[index]
    return judge_frame(
        detections,
        np.empty((0, 3), np.float32) if truth is None else truth[:, :3],
        n_classes=n_classes,
        pixel_size_m=data.pixel_sizes_m[index],
        shape=(frame.shape[0], frame.shape[1]),
        tolerance_m=judging.tolerance_m,
        border_m=judging.border_m,
    )
