"""Training targets: one Gaussian heat map per detectable class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def heat_maps(
    truth: NDArray[np.floating], shape: tuple[int, int], n_classes: int, *, sigma_px: float = 2.0
) -> NDArray[np.float32]:
    """Peaks of height 1 at the true positions.

    Args:
        truth: (n, 3) rows ``y_px, x_px, class_id``; rows whose class is not below ``n_classes`` (vacancies)
            are left out, rows outside the frame contribute what reaches into it.
        shape: ``(ny, nx)``.
        n_classes: number of detectable classes.
        sigma_px: rms width of a peak, > 0.

    Returns:
        (n_classes, ny, nx) float32 in [0, 1]; overlapping peaks add up, limited to 1.
    """
    truth = np.asarray(truth, np.float64).reshape(-1, 3)
    maps = np.empty((n_classes, *shape), np.float32)
    for class_id in range(n_classes):
        y, x = truth[truth[:, 2] == class_id, :2].T
        # A sum of separable Gaussians is one matrix product, far faster than drawing peak by peak.
        maps[class_id] = _profiles(y, shape[0], sigma_px).T @ _profiles(x, shape[1], sigma_px)
    return np.minimum(maps, 1, out=maps)


def _profiles(centres: NDArray[np.float64], length: int, sigma_px: float) -> NDArray[np.float32]:
    offsets = np.arange(length, dtype=np.float32) - centres.astype(np.float32)[:, None]
    return np.exp(np.float32(-0.5 / sigma_px**2) * offsets**2)
