"""Where to measure next: what a point is worth, from its predicted mean and standard deviation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACQUISITIONS", "Acquisition", "expected_improvement", "max_variance", "upper_confidence_bound"]

Acquisition = Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]]
"""Called with means (n,), standard deviations (n,) and the best value yet; the largest answer is next."""

_TINY = 1e-12
_ERF = np.vectorize(erf, otypes=[np.float64])


def expected_improvement(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """How much a measurement is expected to exceed the best (Jones et al., J. Glob. Optim. 13, 1998)."""
    spread = np.maximum(deviation, _TINY)
    z = (mean - best) / spread
    below = 0.5 * (1 + _ERF(z / sqrt(2)))
    return np.asarray((mean - best) * below + spread * np.exp(-0.5 * z**2) / sqrt(2 * pi))


def upper_confidence_bound(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """Mean plus two standard deviations."""
    return mean + 2.0 * deviation


def max_variance(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """Where the surrogate knows least, whatever the value: learns the landscape, finds no optimum."""
    return deviation


ACQUISITIONS: Mapping[str, Acquisition] = MappingProxyType(
    {"ei": expected_improvement, "ucb": upper_confidence_bound, "max-variance": max_variance}
)
"""The acquisition functions by name."""
