"""Series of spectra as pairs of a history and what came after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._finite import finite_plane
from ..errors import InvalidSpectraError

__all__ = ["check_series", "require_history", "unit_of", "windows_of"]

_SMALLEST_UNIT = 1e-9


def check_series(series: NDArray[np.generic]) -> NDArray[np.float32]:
    """A series as (n_times, n_channels) float32.

    Raises:
        InvalidSpectraError: it is not 2D, is empty, complex, or holds NaN or infinity.
    """
    return finite_plane(series, axes="(times, channels)", refuse=refuse_series)


def require_history(series: NDArray[np.float32], *, channels: int, history: int) -> None:
    """Refuse a series that is too short, or of other channels than a forecaster knows.

    Raises:
        InvalidSpectraError: see above.
    """
    if series.shape[1] != channels:
        raise refuse_series(f"it has {series.shape[1]} channels, the forecaster knows {channels}")
    if len(series) < history:
        raise refuse_series(f"it has {len(series)} spectra, a forecast is made from {history}")


def unit_of(history: NDArray[np.floating]) -> float:
    """Mean counts per channel over the history: what its spectra are measured in.

    So a forecaster knows shapes and changes, not how long somebody exposed.

    Args:
        history: (n_times, n_channels).
    """
    return max(float(np.mean(history)), _SMALLEST_UNIT)


def windows_of(
    series: NDArray[np.float32], *, history: int, horizon: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Every history of a series with the spectra after it, each in the unit of its history.

    Returns:
        (n, history, n_channels) and (n, horizon, n_channels) float32; n is 0 for a series that is too short.
    """
    starts = range(max(len(series) - history - horizon + 1, 0))
    before = np.empty((len(starts), history, series.shape[1]), np.float32)
    after = np.empty((len(starts), horizon, series.shape[1]), np.float32)
    for index, start in enumerate(starts):
        past = series[start : start + history]
        unit = unit_of(past)
        before[index] = past / unit
        after[index] = series[start + history : start + history + horizon] / unit
    return before, after


def refuse_series(problem: str) -> InvalidSpectraError:
    """The error for a series that cannot be used."""
    return InvalidSpectraError(
        f"The series of spectra cannot be used: {problem}.",
        safe="nothing was computed with it.",
        next_step="give a real array (times, channels), one spectrum after another.",
    )
