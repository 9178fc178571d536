"""Spectra as a few scores: principal components, weighted as counting noise asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SpectraBasis", "fit_basis"]

_WEIGHT_FLOOR = 0.02
"""Channels with less than this share of the mean intensity are not weighted up any further."""


@dataclass(frozen=True, slots=True)
class SpectraBasis:
    """Scores of standard deviation 1 over the spectra that the basis was fitted to.

    Attributes:
        mean: (n_channels,) mean spectrum.
        weight: (n_channels,) by which channels are multiplied before they are projected.
        components: (k, n_channels) orthonormal rows.
        scale: (k,) standard deviations of the raw scores.
    """

    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    components: NDArray[np.float32]
    scale: NDArray[np.float32]

    def scores(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., n_channels) to (..., k)."""
        weighted = (spectra - self.mean) * self.weight
        return np.asarray(weighted @ self.components.T / self.scale, np.float32)

    def spectra(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., k) to (..., n_channels)."""
        weighted = (scores * self.scale) @ self.components
        return np.asarray(weighted / self.weight + self.mean, np.float32)


def fit_basis(spectra: NDArray[np.float32], components: int) -> SpectraBasis:
    """Principal components of spectra whose noise is that of counting.

    Channels are divided by the root of their mean first, so that noise is alike in all of them (Keenan and
    Kotula, Surf. Interface Anal. 36, 203 (2004)).

    Args:
        spectra: (n, n_channels), in the units of their histories; n above `components`.
        components: how many, k.
    """
    mean = spectra.mean(axis=0)
    weight = 1 / np.sqrt(np.maximum(mean, _WEIGHT_FLOOR * max(float(mean.mean()), 1e-9)))
    centred = (spectra - mean) * weight
    rows = _principal_rows(centred.astype(np.float64), components)
    # The sign of a component is arbitrary: fix it, so that the same data give the same basis everywhere.
    rows *= np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]
    scale = np.maximum((centred @ rows.T).std(axis=0), 1e-6)
    return SpectraBasis(
        mean.astype(np.float32),
        weight.astype(np.float32),
        np.ascontiguousarray(rows, np.float32),
        scale.astype(np.float32),
    )


def _principal_rows(centred: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    # By the smaller of the two Gram matrices: much faster than a full decomposition, and exact enough for
    # the few components that stand above the noise.
    few = len(centred) < centred.shape[1]
    gram = centred @ centred.T if few else centred.T @ centred
    _, vectors = np.linalg.eigh(gram)
    largest = vectors[:, ::-1][:, :count].T
    rows = largest @ centred if few else largest
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
