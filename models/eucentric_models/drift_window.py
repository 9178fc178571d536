"""Has the input drifted? A test of one frame or of a window of frames, at a declared false-alarm rate.

Both rest on ranks alone, so they are right for any distribution, as long as new frames and reference frames
are drawn alike. One frame is ranked among the reference frames: its conformal p-value (Vovk, Gammerman and
Shafer 2005) is no smaller than 1 / (n + 1) for n of them. Of a window, the frames are counted that exceed
nine tenths of the reference frames: how many there are by chance is known exactly (the exceedance test;
Balakrishnan and Ng, Precedence-Type Tests and Applications, 2006), the finite size of the reference included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .drift import DriftReference
from .errors import DriftReferenceError

__all__ = ["WindowVerdict", "conformal_limit", "judge_window"]

_NAMES: tuple[Literal["distance"], Literal["entropy"]] = ("distance", "entropy")
"""What can only be too large: a frame that is nearer to the middle than any other has not drifted."""

_TAIL = 0.1
"""Share of the reference frames beyond which frames of a window are counted."""


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """The outcome of a test of one frame or of a window.

    Attributes:
        drifted: whether the p-value is at most the declared false-alarm rate.
        p_value: of the whole, corrected for the number of statistics; in (0, 1].
        false_alarm_rate: declared.
        frames: in the window.
        strangest: the statistic with the smallest p-value.
    """

    drifted: bool
    p_value: float
    false_alarm_rate: float
    frames: int
    strangest: Literal["distance", "entropy"]


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
    p_values = [_exceedance(before, now) for before, now in zip(known.T, window.T, strict=True)]
    smallest = int(np.argmin(p_values))
    p_value = min(1.0, len(p_values) * p_values[smallest])
    return WindowVerdict(
        drifted=p_value <= false_alarm_rate,
        p_value=p_value,
        false_alarm_rate=false_alarm_rate,
        frames=len(window),
        strangest=_NAMES[smallest],
    )


def _exceedance(known: NDArray[np.float64], window: NDArray[np.float64]) -> float:
    n, m = len(known), len(window)
    if m == 1:
        return (1 + int((known >= window[0]).sum())) / (n + 1)
    rank = max(1, round(_TAIL * n))
    seen = int((window > np.sort(known)[n - rank]).sum())
    # Of all n + m frames in the order of their values, every order is as likely as any other.
    ways = sum(comb(k + rank - 1, k) * comb(n - rank + m - k, m - k) for k in range(seen, m + 1))
    return min(1.0, ways / comb(n + m, m))


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
