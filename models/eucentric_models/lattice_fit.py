"""The lattice that detected columns stand on: shortest translations that take columns to columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 24
_LARGEST_DISTANCES = 4.0  # in units of the median distance of nearest neighbours
_SAME = 0.18  # of that distance: translations closer than this are one
_COMMON_SHARE = 0.6  # of the columns that have room for a translation
_SMALLEST_ANGLE_RAD = 0.6
_ORDERS = 3
_LARGEST_COUNT = 6000


@dataclass(frozen=True, slots=True)
class FittedLattice:
    """A plane lattice.

    Attributes:
        vectors_px: (2, 2), one translation ``[y, x]`` per row, the shortest first.
        share: share of the columns, with room for it, that the first translation takes to another column.
        pairs: pairs of columns that the vectors were fitted to.
    """

    vectors_px: NDArray[np.float64]
    share: float
    pairs: int

    @property
    def lengths_px(self) -> tuple[float, float]:
        """Lengths of the two translations."""
        first, second = np.hypot(*self.vectors_px.T)
        return float(first), float(second)

    @property
    def angle_rad(self) -> float:
        """Angle between them, in (0, pi)."""
        first, second = self.vectors_px
        cosine = first @ second / np.prod(self.lengths_px)
        return float(np.arccos(np.clip(cosine, -1, 1)))

    @property
    def cell_area_px(self) -> float:
        """Area of the primitive cell."""
        return float(abs(np.linalg.det(self.vectors_px)))


def fit_lattice(positions_px: NDArray[np.floating]) -> FittedLattice | None:
    """Fit the most common short translations between columns.

    All columns count alike, whatever their class: a translation from one kind to another counts too, unless
    it leaves too many columns without a partner, as in a honeycomb.

    Args:
        positions_px: (n, 2) of at most 6000 columns (of more, the first are taken).

    Returns:
        None when no two translations are common to most columns: several grains, or no crystal.
    """
    points = np.asarray(positions_px, np.float64)[:_LARGEST_COUNT]
    if len(points) < 12:
        return None
    differences = _differences(points)
    nearest = float(np.median(np.hypot(*_nearest(points).T)))
    differences = differences[np.hypot(*differences.T) < _LARGEST_DISTANCES * nearest]
    translations = _common(points, differences, _SAME * nearest)
    if len(translations) < 2:
        return None
    first, share = translations[0]
    for second, _ in translations[1:]:
        sine = abs(first[0] * second[1] - first[1] * second[0]) / (np.hypot(*first) * np.hypot(*second))
        if np.arcsin(min(1.0, float(sine))) > _SMALLEST_ANGLE_RAD:
            vectors, pairs = _refined(
                _differences(points, far=True), np.stack([first, second]), _SAME * nearest
            )
            return FittedLattice(vectors, share, pairs)
    return None


def _nearest(points: NDArray[np.float64]) -> NDArray[np.float64]:
    offsets = points[:, None] - points[None, :1500]
    distance = np.hypot(offsets[..., 0], offsets[..., 1])
    distance[distance == 0] = np.inf
    return points - points[distance.argmin(axis=1)]


def _differences(points: NDArray[np.float64], *, far: bool = False) -> NDArray[np.float64]:
    """Offsets to the nearest columns, or to several times as many."""
    count = min(len(points) - 1, _NEIGHBOURS * (_ORDERS if far else 1))
    found = []
    for chunk in np.array_split(points, max(1, len(points) // 256)):
        offsets = points[None] - chunk[:, None]
        distance = np.hypot(offsets[..., 0], offsets[..., 1])
        near = np.argpartition(distance, count, axis=1)[:, : count + 1]
        picked = np.take_along_axis(offsets, near[..., None], axis=1)
        found.append(picked[np.take_along_axis(distance, near, axis=1) > 0])
    return np.concatenate(found)


def _common(
    points: NDArray[np.float64], differences: NDArray[np.float64], reach: float
) -> list[tuple[NDArray[np.float64], float]]:
    """Translations, shortest first, that take most columns with room for it to a column."""
    high, low = points.max(axis=0), points.min(axis=0)
    rest = differences[(differences[:, 0] > 0) | ((differences[:, 0] == 0) & (differences[:, 1] > 0))]
    found: list[tuple[NDArray[np.float64], float]] = []
    while len(rest):
        shortest = rest[np.hypot(*rest.T).argmin()]
        centre = shortest
        for _ in range(5):
            close = np.hypot(*(rest - centre).T) < reach
            if not close.any():
                break
            centre = rest[close].mean(axis=0)
        moved = points + centre
        room = int(np.all((moved > low - reach) & (moved < high + reach), axis=1).sum())
        close = np.hypot(*(rest - centre).T) < reach
        share = int(close.sum()) / max(room, 1)
        if share > _COMMON_SHARE:
            found.append((centre, min(share, 1.0)))
        close[np.hypot(*(rest - shortest).T) < reach / 4] = True
        rest = rest[~close]
    return sorted(found, key=lambda item: float(np.hypot(*item[0])))


def _refined(
    differences: NDArray[np.float64], vectors: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], int]:
    for _ in range(4):
        index = np.rint(differences @ np.linalg.inv(vectors))
        residual = differences - index @ vectors
        good = (np.hypot(*residual.T) < reach) & (np.abs(index).max(axis=1) > 0)
        vectors = np.linalg.lstsq(index[good], differences[good], rcond=None)[0]
    return vectors, int(good.sum()) // 2
