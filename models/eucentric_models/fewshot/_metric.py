"""The metric of a support set: directions in which chips of one class differ count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ._encoder import unit_rows

SHRINKAGE = 0.3
"""Part of the scatter that is taken to be the same in all directions: chosen on simulated textures."""


@dataclass(frozen=True, slots=True)
class SupportMetric:
    """Whitening by the scatter of support chips within their classes, shrunk towards a multiple of unity.

    A regularised linear discriminant (Friedman, J. Am. Stat. Assoc. 84, 165, 1989) in the few directions that
    support chips span: embeddings are left alone in all others.

    Attributes:
        directions: (k, d) float32 orthonormal rows.
        damping: (k,) float32 in (0, 1], what is left of an embedding along each.
    """

    directions: NDArray[np.float32]
    damping: NDArray[np.float32]

    @classmethod
    def fit(cls, embeddings: NDArray[np.float32], class_id: NDArray[np.intp]) -> Self:
        """The metric of some chips.

        Args:
            embeddings: (n, d) of length 1.
            class_id: (n,) of each chip; a class with a single chip adds nothing.
        """
        size = embeddings.shape[1]
        residuals = embeddings - class_means(embeddings, class_id)[class_id]
        freedom = len(class_id) - len(np.unique(class_id))
        total = float((residuals.astype(np.float64) ** 2).sum())
        if freedom < 1 or total < 1e-12:
            return cls(np.zeros((0, size), np.float32), np.zeros(0, np.float32))
        values, directions = _principal(residuals, total)
        floor = SHRINKAGE * total / freedom / size
        damping = np.sqrt(floor / ((1 - SHRINKAGE) * values / freedom + floor))
        return cls(directions.astype(np.float32), damping.astype(np.float32))

    def applied(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (n, d) in this metric, of length 1 again."""
        along = embeddings @ self.directions.T
        return unit_rows(embeddings - (along * (1 - self.damping)) @ self.directions)


def class_means(embeddings: NDArray[np.float32], class_id: NDArray[np.intp]) -> NDArray[np.float32]:
    """(n_classes, d) mean embedding of each class; every id below the largest must occur."""
    count = int(class_id.max()) + 1
    members = (class_id[None] == np.arange(count)[:, None]).astype(np.float32)
    return (members @ embeddings) / members.sum(axis=1, keepdims=True)


def _principal(
    residuals: NDArray[np.float32], total: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues (k,) above rounding and directions (k, d) of the scatter of residuals (n, d)."""
    exact = residuals.astype(np.float64)
    if len(exact) > exact.shape[1]:
        values, vectors = np.linalg.eigh(exact.T @ exact)
        kept = values > 1e-9 * total
        return values[kept], vectors[:, kept].T
    # There are at most as many directions as chips: their Gram matrix is the smaller problem.
    values, vectors = np.linalg.eigh(exact @ exact.T)
    kept = values > 1e-9 * total
    return values[kept], (vectors[:, kept].T @ exact) / np.sqrt(values[kept])[:, None]
