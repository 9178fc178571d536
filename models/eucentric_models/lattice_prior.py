"""Positions of columns improved by their neighbours, as far as the columns do stand on a lattice.

Every column a lattice translation away says where this one should be. A plane fitted to what they say as a
function of their distance (local linear regression: Fan, J. Am. Stat. Assoc. 87, 998, 1992) allows for strain
and shear, needs no column on the opposite side, and is less noisy at the place itself than what the image
says there; how much it is believed follows from the frame (empirical
Bayes: Efron and Morris, J. Am. Stat. Assoc. 68, 117, 1973): columns that scatter about it no more
than the noise explains are moved there, those that scatter more stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .translations import common_translations, lattice_translations, partners

_SMALLEST_POWER = 1e-12
_SMALLEST_VARIANCE_PX2 = 1e-6
_FEWEST_FRAMES = 5
_FEWEST_COLUMNS = 12
_TRANSLATIONS = 48
_FEWEST_NEIGHBOURS = 4
_LARGEST_FACTOR = 2.0  # of the variance of a position, that its neighbours' word may have
_OUTLIER = 3.5  # robust standard deviations from which a column is believed to be really displaced
_SMALLEST_DEVIATION_PX = 1e-6
_RIDGE = 1e-9
_TOLERANCE = 2.0  # variance of a position over what the line says, which a frame out of focus may well have
_ROBUST = 1.4826  # of a median absolute deviation, for the standard deviation of a Gaussian


class LatticePrior(BaseModel):
    """How far off positions are by noise alone; travels with the weights.

    ``variance_px2 = exp(shift) power**slope`` along one axis, in pixels of the network, where ``power`` is
    what the finest ring of the spectrum of the normalised frame holds: noise, and no columns. A frame
    that was smoothed or interpolated has less power there, so its positions count as exact and stay.

    Attributes:
        shift: logarithm of the variance at power 1.
        slope: how the variance grows with the power, >= 0.
        smallest_power: of the frames that the line was fitted to.
        largest_power: likewise; noisier frames count as if they had this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: float = Field(ge=-50, le=50)
    slope: float = Field(ge=0, le=10)
    smallest_power: float = Field(gt=0)
    largest_power: float = Field(gt=0)

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.smallest_power > self.largest_power:
            raise ValueError("smallest_power is larger than largest_power")
        return self

    def variance_px2(self, noise_power: float) -> float:
        """Variance of a position along one axis; 0 for a frame with less noise than all of the fit."""
        if not noise_power >= self.smallest_power / 2:
            return 0.0
        return float(np.exp(self.shift) * min(noise_power, self.largest_power) ** self.slope)


def fit_lattice_prior(
    noise_power: NDArray[np.floating], variance_px2: NDArray[np.floating]
) -> LatticePrior | None:
    """The line through the logarithms.

    Args:
        noise_power: (n,) of each frame, see :class:`LatticePrior`.
        variance_px2: (n,) mean squared error of its positions along one axis.

    Returns:
        None for fewer than 5 frames.
    """
    if len(noise_power) < _FEWEST_FRAMES:
        return None
    power = np.maximum(np.asarray(noise_power, np.float64), _SMALLEST_POWER)
    x, y = np.log(power), np.log(np.maximum(variance_px2, _SMALLEST_VARIANCE_PX2))
    spread = float(np.square(x - x.mean()).sum())
    slope = float(((x - x.mean()) * y).sum() / spread) if spread > 1e-9 else 0.0
    slope = float(np.clip(slope, 0, 10))
    return LatticePrior(
        shift=float(np.clip(y.mean() - slope * x.mean(), -50, 50)),
        slope=slope,
        smallest_power=float(power.min()),
        largest_power=float(power.max()),
    )


def settled(
    positions_px: NDArray[np.floating], class_id: NDArray[np.integer], variance_px2: float
) -> NDArray[np.float64]:
    """Positions after their neighbours were asked.

    Both axes are taken each for itself, since scanning distorts one of them more. Columns that are further
    from where they are expected than noise and the general disorder explain stay where they were seen, and
    their neighbours do not ask them. Scatter beyond twice the variance of the noise counts as disorder.

    Args:
        positions_px: (n, 2) as found in the image.
        class_id: (n,); only columns of the same class are asked.
        variance_px2: of a position along one axis by noise, :meth:`LatticePrior.variance_px2`.

    Returns:
        (n, 2); unchanged where no lattice is seen, at edges of crystals, and where ``variance_px2`` is 0.
    """
    seen = np.asarray(positions_px, np.float64).reshape(-1, 2)
    if not variance_px2 > 0 or len(seen) < _FEWEST_COLUMNS:
        return seen
    common = common_translations(seen, class_id)
    neighbours = _Neighbours.of(seen, class_id, lattice_translations(common, _TRANSLATIONS))
    credible = np.ones(len(seen), bool)
    for _ in range(2):
        move, factor = neighbours.say(credible)
        asked = factor <= _LARGEST_FACTOR
        if asked.sum() < _FEWEST_COLUMNS:
            return seen
        # It holds the column's own error and that of its neighbours' word.
        apart = move / np.sqrt(1 + factor)[:, None]
        beyond = np.square(apart / _deviation(apart, class_id, asked)).sum(axis=1)
        credible = ~asked | (beyond <= _OUTLIER**2)
        if credible.all():
            break
    usual = apart[asked & credible]
    if len(usual) < _FEWEST_COLUMNS:
        return seen
    scatter_px2 = np.square(usual).mean(axis=0)
    # The more scatter there is beyond the tolerance, the less likely noise is the reason.
    share = np.minimum(1, _TOLERANCE * variance_px2 / np.maximum(scatter_px2, _SMALLEST_VARIANCE_PX2))
    noise_px2 = np.minimum(scatter_px2, variance_px2 * (1 + (_TOLERANCE - 1) * share))
    disorder_px2 = scatter_px2 - noise_px2
    doubt_px2 = disorder_px2 + scatter_px2 * np.where(asked, factor, 0)[:, None]
    weight = doubt_px2 / np.maximum(doubt_px2 + noise_px2, _SMALLEST_DEVIATION_PX**2)
    return np.where((asked & credible)[:, None], seen + (1 - weight) * move, seen)


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """Who is asked about each column.

    Attributes:
        rows: (n, k) of the columns a translation away, -1 where there is none.
        terms: (k, 3) constant and linear terms of a plane over the translations.
        apart_px: (2, n, k) along y and x, by how much each would have the column elsewhere than it is seen.
    """

    rows: NDArray[np.intp]
    terms: NDArray[np.float64]
    apart_px: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        seen: NDArray[np.float64],
        class_id: NDArray[np.integer],
        translations_px: NDArray[np.float64],
    ) -> _Neighbours:
        before, behind = partners(seen, class_id, translations_px)
        rows = np.concatenate([behind, before]).T
        ways_px = np.concatenate([translations_px, -translations_px])
        apart_px = np.stack([seen[:, axis][rows] - seen[:, axis, None] - ways_px[:, axis] for axis in (0, 1)])
        scale = max(1.0, float(np.abs(ways_px).max(initial=0)))
        return cls(rows, np.column_stack([np.ones(len(ways_px)), ways_px / scale]), apart_px)

    def say(self, credible: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """By how much (n, 2) columns should move, and (n,) the variance of that over the one of a position.

        The factor is infinite, and the move none, where the neighbours do not span the plane.
        """
        asked = (self.rows >= 0) & credible[self.rows]
        weight = asked.astype(np.float64)
        products = (self.terms[:, :, None] * self.terms[:, None, :]).reshape(len(self.terms), 9)
        normal = (weight @ products).reshape(-1, 3, 3) + _RIDGE * np.eye(3)
        right = np.zeros((len(weight), 3, 3))
        right[:, 0, 2] = 1
        for axis in (0, 1):
            right[:, :, axis] = (self.apart_px[axis] * weight) @ self.terms
        fit = np.linalg.solve(normal, right)[:, 0]
        spanned = (asked.sum(axis=1) >= _FEWEST_NEIGHBOURS) & (fit[:, 2] <= _LARGEST_FACTOR)
        return np.where(spanned[:, None], fit[:, :2], 0), np.where(spanned, fit[:, 2], np.inf)


def _deviation(
    apart: NDArray[np.float64], class_id: NDArray[np.integer], asked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Robust standard deviation (n, 2) of the columns of the same class: weak ones scatter more."""
    deviation = np.full(apart.shape, np.inf)
    for one in np.unique(class_id[asked]):
        rows = class_id == one
        deviation[rows] = _ROBUST * np.median(np.abs(apart[rows & asked]), axis=0)
    return np.maximum(deviation, _SMALLEST_DEVIATION_PX)
