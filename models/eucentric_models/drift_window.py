"""Has the input drifted? A test of one frame or of a window of frames, at a declared false-alarm rate.

One frame is ranked among the reference frames: its conformal p-value (Vovk, Gammerman and Shafer 2005) is
right for any distribution, and no smaller than 1 / (n + 1) for n of them. A window is compared with the
reference statistic by statistic by the two-sample test of Kolmogorov and Smirnov, with Bonferroni's
correction, which Rabanser, Guennemann and Lipton (NeurIPS 2019) found as good as anything on features of a
network. Tests of windows need scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from .drift import DriftReference
from .errors import DriftReferenceError

__all__ = ["WindowVerdict", "conformal_limit", "judge_window"]

_ONE_SIDED = ("distance", "entropy")
"""What can only be too large: a frame that is nearer to the middle than any other has not drifted."""


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """The outcome of a test of one frame or of a window.

    Attributes:
        drifted: whether the p-value is at most the declared false-alarm rate.
        p_value: of the whole, corrected for the number of statistics; in (0, 1].
        false_alarm_rate: declared.
        frames: in the window.
        strangest: the statistic with the smallest p-value: `distance`, `entropy`, or `ring_0` to `ring_7`
            from coarse to fine structure.
    """

    drifted: bool
    p_value: float
    false_alarm_rate: float
    frames: int
    strangest: str


def conformal_limit(reference: DriftReference, false_alarm_rate: float) -> float:
    """The drift score that a frame like those of the reference exceeds at most this often.

    Args:
        reference: with a sample.
        false_alarm_rate: per frame, in (0, 1).

    Raises:
        DriftReferenceError: the reference holds no sample, or too few frames for so small a rate.
    """
    distances = np.sort(_sample(reference)[:, 0])
    rank = ceil((len(distances) + 1) * (1 - false_alarm_rate))
    if rank > len(distances):
        raise _unusable(
            f"{len(distances)} frames cannot promise a false-alarm rate of {false_alarm_rate:g} per frame, "
            f"only {1 / (len(distances) + 1):.2g}",
            "declare a larger rate, test windows of several frames, or make the reference from more frames.",
        )
    return float(distances[rank - 1]) / reference.edge_distance


def judge_window(
    reference: DriftReference,
    features: Sequence[NDArray[np.floating]],
    entropies: Sequence[float],
    *,
    false_alarm_rate: float = 0.01,
) -> WindowVerdict:
    """Test a window of frames.

    Frames of a window should not repeat each other: one field of view taken many times is one frame.

    Args:
        reference: with a sample.
        features: one vector for each frame of the window, at least one.
        entropies: one mean entropy for each.
        false_alarm_rate: per window, in (0, 1).

    Raises:
        DriftReferenceError: the reference holds no sample, or the window does not fit it.
    """
    known = _sample(reference)
    if not features or len(features) != len(entropies):
        raise _unusable(f"{len(features)} feature vectors and {len(entropies)} entropies make no window")
    if not 0 < false_alarm_rate < 1:
        raise _unusable(f"a false-alarm rate of {false_alarm_rate:g} is not between 0 and 1")
    window = np.array([reference.statistics(f, e) for f, e in zip(features, entropies, strict=True)])
    names = ("distance", "entropy", *(f"ring_{index}" for index in range(known.shape[1] - 2)))
    if len(window) == 1:
        p_values = [_conformal(known[:, index], window[0, index]) for index in range(len(_ONE_SIDED))]
    else:
        p_values = _kolmogorov_smirnov(known, window)
    smallest = int(np.argmin(p_values))
    p_value = min(1.0, len(p_values) * p_values[smallest])
    return WindowVerdict(
        drifted=p_value <= false_alarm_rate,
        p_value=p_value,
        false_alarm_rate=false_alarm_rate,
        frames=len(window),
        strangest=names[smallest],
    )


def _conformal(known: NDArray[np.float64], value: float) -> float:
    return (1 + int((known >= value).sum())) / (len(known) + 1)


def _kolmogorov_smirnov(known: NDArray[np.float64], window: NDArray[np.float64]) -> list[float]:
    from scipy.stats import ks_2samp

    found = []
    for index, (before, now) in enumerate(zip(known.T, window.T, strict=True)):
        # Of the reference's own distribution, values larger than it knows lie below: "less".
        alternative = "less" if index < len(_ONE_SIDED) else "two-sided"
        found.append(float(ks_2samp(now, before, alternative=alternative, method="auto").pvalue))
    return found


def _sample(reference: DriftReference) -> NDArray[np.float64]:
    if not reference.sample:
        raise _unusable(
            "it was made before references held a sample", "retrain the model, or make its reference anew."
        )
    return np.array(reference.sample)


def _unusable(
    reason: str, next_step: str = "give the features and entropies of frames of this model's own ensemble."
) -> DriftReferenceError:
    return DriftReferenceError(
        f"Drift cannot be tested with this reference: {reason}.",
        safe="nothing was decided; detections and drift scores are unaffected.",
        next_step=next_step,
    )
