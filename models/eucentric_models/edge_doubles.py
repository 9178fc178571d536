"""Columns that are cut by the edge of a frame, and found twice there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .decoding import Detections

_TOO_CLOSE = 0.5  # of the usual distance of neighbours
_FEWEST = 12


def without_edge_doubles(found: Detections, shape: tuple[int, int]) -> Detections:
    """Detections without the weaker one of each pair that is half a column at the edge.

    A network sees a column that the edge cuts as a flank without a peak, and at times places it twice. Of two
    detections closer to each other than half of what neighbours usually are, one of them no further
    than that from the edge, the surer one stays. Inside the frame nothing is left out: pairs of close
    columns, dumbbells and interstitials are there for a reason.

    Args:
        found: detections in pixels of the frame, by falling confidence.
        shape: ``(ny, nx)`` of the frame.

    Returns:
        In the same order; all of them where there are fewer than 12.
    """
    if len(found) < _FEWEST:
        return found
    positions = found.positions_px.astype(np.float64)
    distance = _TOO_CLOSE * _usual_distance_px(positions)
    from_edge = np.minimum(positions, np.asarray(shape) - 1 - positions).min(axis=1)
    keep = np.ones(len(found), bool)
    for row in np.flatnonzero(from_edge < distance):
        apart = np.square(positions - positions[row]).sum(axis=1) < distance**2
        # Rows before this one are surer.
        keep[row] = not (apart[:row] & keep[:row]).any()
    return Detections(found.positions_px[keep], found.class_id[keep], found.confidence[keep])


def _usual_distance_px(positions: NDArray[np.float64]) -> float:
    nearest = []
    for some in np.array_split(positions, max(1, len(positions) // 256)):
        squared = np.square(some[:, None] - positions[None]).sum(axis=2)
        squared[squared == 0] = np.inf
        nearest.append(squared.min(axis=1))
    return float(np.sqrt(np.median(np.concatenate(nearest))))
