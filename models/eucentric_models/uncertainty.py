"""Uncertainty of heat maps and whether it can be believed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .decoding import DEFAULT_DECODING, Decoding, local_maxima


def ensemble_statistics(
    members: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and pixel-wise standard deviation over the members.

    Args:
        members: (n_members, n_classes, ny, nx) probabilities.

    Returns:
        Mean (n_classes, ny, nx) and deviation (ny, nx), the largest over the classes; float32.
    """
    members = np.asarray(members, np.float32)
    return members.mean(axis=0), members.std(axis=0).max(axis=0)


def entropy_map(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Binary entropy in nats, element by element.

    Args:
        probabilities: any shape, in [0, 1].
    """
    p = np.clip(np.asarray(probabilities, np.float32), 1e-6, 1 - 1e-6)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


def mean_entropy(members: NDArray[np.floating], decoding: Decoding = DEFAULT_DECODING) -> float:
    """How unsure the members are at the places where a column might be, in nats.

    Mean over the members, and over the local maxima of their mean map down to a quarter of the detection
    threshold, of the binary entropy of the strongest class.  Averaging each member's own entropy is preferred
    to the entropy of the mean, which mixes in their diversity; the mean over all pixels would not do, because
    the flanks of perfectly good peaks dominate it.

    Args:
        members: (n_members, n_classes, ny, nx) probabilities.
        decoding: threshold and separation of the detections.

    Returns:
        A value in [0, ln 2]; ln 2, complete doubt, when there is no candidate at all.
    """
    members = np.asarray(members, np.float32)
    return mean_entropy_of_strongest(members.mean(axis=0), members.max(axis=1), decoding)


def mean_entropy_of_strongest(
    maps: NDArray[np.floating], strongest: NDArray[np.floating], decoding: Decoding = DEFAULT_DECODING
) -> float:
    """:func:`mean_entropy` from what a compiled ensemble gives.

    Args:
        maps: (n_classes, ny, nx), mean over the members of the class probabilities.
        strongest: (n_members, ny, nx), each member's probability of its strongest class.
        decoding: threshold and separation of the detections.
    """
    likely = np.asarray(maps, np.float32).max(axis=0)
    y, x = local_maxima(likely, decoding.threshold / 4, decoding.min_distance_px)
    if not len(y):
        return float(np.log(2))
    return float(entropy_map(strongest[:, y, x]).mean())


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], *, bins: int = 10
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their size.

    Guo et al., ICML 2017.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) whether each detection was right.
        bins: number of bins, >= 1.

    Returns:
        A value in [0, 1]; 0 when there are no detections.

    Raises:
        ValueError: the lengths differ or ``bins`` is less than 1.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if confidence.shape != correct.shape or bins < 1:
        raise ValueError("confidence and correct must have one length, and bins be at least 1")
    if not len(confidence):
        return 0.0
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))
