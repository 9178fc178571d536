"""From the height of a peak to the probability that the detection is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_SMALLEST = 1e-4
_STEPS = 50
_RIDGE = 1e-2
_SLOPES = (0.02, 50.0)


class Calibration(BaseModel):
    """A line in log odds; travels with the weights.

    ``logit(confidence) = slope logit(height) + shift``: temperature scaling (Guo et al., ICML 2017) with
    temperature ``1 / slope``, and Platt's shift, because the height of a peak is a regressed value and no
    probability to begin with.

    Attributes:
        slope: inverse temperature, positive, so that the order of detections stays.
        shift: added log odds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(default=1.0, gt=0, le=100)
    shift: float = Field(default=0.0, ge=-100, le=100)

    def confidence(self, height: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities for peak heights in [0, 1], any shape."""
        height = np.asarray(height, np.float32)
        if self == IDENTITY:
            return height
        return np.asarray(1 / (1 + np.exp(-(self.slope * _logit(height) + self.shift))), np.float32)


IDENTITY = Calibration()


def fit_calibration(height: NDArray[np.floating], correct: NDArray[np.bool_]) -> Calibration:
    """The calibration under which what was seen is likeliest (Platt 1999, with his smoothed targets).

    Args:
        height: (n,) peak heights of detections.
        correct: (n,) whether each was right.

    Returns:
        The identity when there are no detections.

    Raises:
        ValueError: the lengths differ or a height is not finite.
    """
    height, correct = np.asarray(height, np.float64), np.asarray(correct, bool)
    if height.shape != correct.shape or height.ndim != 1 or not np.isfinite(height).all():
        raise ValueError("height and correct must be finite and of one length")
    if not len(height):
        return IDENTITY
    right, wrong = int(correct.sum()), int((~correct).sum())
    target = np.where(correct, (right + 1) / (right + 2), 1 / (wrong + 2))
    design = np.stack([_logit(height), np.ones(len(height))], axis=1)
    # The ridge pulls towards the identity where the data leave the line open, as when all are right.
    origin = np.array([1.0, 0.0])
    line = origin.copy()
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ line, -50, 50)))
        gradient = design.T @ (probability - target) + _RIDGE * (line - origin)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        line = line - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return Calibration(slope=float(np.clip(line[0], *_SLOPES)), shift=float(np.clip(line[1], -100, 100)))


def _logit(height: NDArray[np.floating]) -> NDArray[np.floating]:
    clipped = np.clip(height, _SMALLEST, 1 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)
