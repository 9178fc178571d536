"""Tile positions that agree with the registrations as well as can be, and with the stage where none is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._extras import needs

__all__ = ["Solution", "solve_positions"]

_Float = npt.NDArray[np.float64]
_Int = npt.NDArray[np.int64]

_MAX_ITERATIONS = 50
_CONVERGED_PX = 1e-4
_OUTLIER_SIGMAS = 6.0
_WORST_SHARE = 0.7
_MAX_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Solution:
    """Positions (n, 2) and, for each pair, the residual vector (m, 2) and whether it was believed (m,)."""

    positions_px: _Float
    residuals_px: _Float
    believed: npt.NDArray[np.bool_]


def solve_positions(
    prior_px: _Float,
    prior_sigma_px: float,
    pairs: _Int,
    offsets_px: _Float,
    confidence: _Float,
    *,
    pair_sigma_px: float = 0.5,
) -> Solution:
    """Robust least squares for tile positions.

    Minimises `sum c_ij rho(|p_j - p_i - d_ij| / pair_sigma) + sum |p_i - s_i|^2 / prior_sigma^2` with the
    soft-L1 loss `rho(r) = 2 (sqrt(1 + r^2) - 1)` by iteratively reweighted least squares (Holland & Welsch,
    Commun. Stat. A6, 813, 1977). Pairs still off by more than six sigmas are then left out, so that a wrong
    registration bends nothing. The prior holds tiles that no registration reaches, and the mosaic as a whole.

    Args:
        prior_px: (n, 2) positions that the stage reported.
        prior_sigma_px: how far they may be off.
        pairs: (m, 2) indices i, j of registered tiles.
        offsets_px: (m, 2) measured `p_j - p_i`.
        confidence: (m,) how much each is to be believed, in (0, 1]: decides where two contradict each other.
        pair_sigma_px: how far a registration may be off.

    Raises:
        UnsupportedError: scipy is not installed.
    """
    believed = np.ones(len(pairs), bool)
    positions = _reweighted(prior_px, prior_sigma_px, pairs, offsets_px, confidence * believed, pair_sigma_px)
    for _round in range(_MAX_ROUNDS):
        distance = np.linalg.norm(_residuals(positions, pairs, offsets_px), axis=1) / pair_sigma_px
        # A gross error bends its neighbours too: the worst leave first, and the others are asked again.
        worst = float(distance[believed].max(initial=0.0))
        now = distance <= max(_OUTLIER_SIGMAS, _WORST_SHARE * worst)
        if np.array_equal(now, believed):
            break
        believed = now
        positions = _reweighted(
            prior_px, prior_sigma_px, pairs, offsets_px, confidence * believed, pair_sigma_px
        )
    return Solution(positions, _residuals(positions, pairs, offsets_px), believed)


def _residuals(positions: _Float, pairs: _Int, offsets: _Float) -> _Float:
    if not len(pairs):
        return np.zeros((0, 2))
    return offsets - (positions[pairs[:, 1]] - positions[pairs[:, 0]])


def _reweighted(
    prior: _Float,
    prior_sigma: float,
    pairs: _Int,
    offsets: _Float,
    confidence: _Float,
    pair_sigma: float,
) -> _Float:
    sparse, solvers = needs("scipy.sparse"), needs("scipy.sparse.linalg")
    kept = confidence > 0
    pairs, offsets, confidence = pairs[kept], offsets[kept], confidence[kept]
    n, m = len(prior), len(pairs)
    if m == 0:
        return prior.copy()
    rows = np.repeat(np.arange(m), 2)
    signs = np.tile([-1.0, 1.0], m)
    incidence = sparse.csr_matrix((signs, (rows, pairs.ravel())), shape=(m, n))
    anchor = sparse.identity(n, format="csr") / prior_sigma**2
    positions = prior.copy()
    for _iteration in range(_MAX_ITERATIONS):
        distance = np.linalg.norm(_residuals(positions, pairs, offsets), axis=1) / pair_sigma
        weights = sparse.diags(confidence / np.sqrt(1.0 + distance**2) / pair_sigma**2)
        normal = (incidence.T @ weights @ incidence + anchor).tocsc()
        right = incidence.T @ weights @ offsets + anchor @ prior
        updated = solvers.splu(normal).solve(np.ascontiguousarray(right))
        moved = float(np.abs(updated - positions).max())
        positions = updated
        if moved < _CONVERGED_PX:
            break
    return positions
