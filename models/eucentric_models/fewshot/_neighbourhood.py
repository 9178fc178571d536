"""What the chips around a chip say about it: regions are larger than chips."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from ._chips import Chips

DEFAULT_SMOOTHNESS = 0.6
_SHARPNESS = 2.5
"""Probabilities that were averaged are too modest; both numbers chosen on simulated specimens."""
_LEAST_DISTANCE = 1e-6


class Neighbourhood:
    """The eight neighbours of every chip of one image, the more alike the more closely tied.

    The random walker with priors of Grady (IEEE CVPR 2005): probabilities x minimise the sum of
    ``w_ij (x_i - x_j)^2`` over neighbours and ``(x_i - p_i)^2`` over chips, with p what each chip says by
    itself and ``w_ij = smoothness exp(-d_ij / d)``, d_ij the cosine distance of two neighbours and d its
    median. A chip across an interface says little; a region that changes gradually stays one.

    Args:
        ties: (n, n) symmetric weights.
    """

    def __init__(self, ties: sparse.csr_array) -> None:
        size = ties.shape[0]
        laplacian = sparse.diags_array(np.asarray(ties.sum(axis=1)).ravel()) - ties
        self._solve = linalg.splu((laplacian + sparse.eye_array(size)).tocsc()).solve

    @classmethod
    def of(cls, chips: Chips, vectors: NDArray[np.float32], smoothness: float = DEFAULT_SMOOTHNESS) -> Self:
        """The neighbourhood of the chips of an image.

        Args:
            chips: of the image, on a full grid.
            vectors: (n, d) of length 1, in the metric of the support set.
            smoothness: 0 for chips that do not listen to each other.
        """
        first, second = _neighbours(chips)
        distances = np.clip(1 - np.einsum("ij,ij->i", vectors[first], vectors[second]), 0, 2)
        usual = max(float(np.median(distances)) if len(distances) else 0.0, _LEAST_DISTANCE)
        weights = smoothness * np.exp(-distances.astype(np.float64) / usual)
        both = (np.concatenate([first, second]), np.concatenate([second, first]))
        size = len(chips)
        return cls(sparse.coo_array((np.tile(weights, 2), both), shape=(size, size)).tocsr())

    def smoothed(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, n_classes) with what the neighbours say; rows sum to 1."""
        found = np.clip(self._solve(probabilities.astype(np.float64)), 0, None) ** _SHARPNESS
        return np.asarray(found / found.sum(axis=1, keepdims=True), np.float32)


def _neighbours(chips: Chips) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of all pairs of chips that touch, each once."""
    index = np.empty((int(chips.rows.max()) + 1, int(chips.columns.max()) + 1), np.intp)
    index[chips.rows, chips.columns] = np.arange(len(chips))
    pairs = (
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
        (index[:-1, 1:], index[1:, :-1]),
    )
    first, second = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    return first, second
