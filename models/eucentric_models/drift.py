"""Has the input left the range that a model was trained and judged on?

Each frame becomes a feature vector (pooled bottleneck features and a radially averaged power spectrum).  A
reference keeps mean and shrunk covariance of frames known to be good; the drift score of a new frame is its
Mahalanobis distance over the 99th percentile of the reference frames' own distances, so 1.0 is the edge of
normal.  A shift need not do harm, hence the quality proxy beside it: mean entropy relative to the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import DriftReferenceError

SPECTRUM_RINGS = 8
_FOLDS = 5
_STATISTICS = 2
_EDGE_PERCENTILE = 99.0
_SCALE_FLOOR = 0.5
# Features may be exact multiples of each other, and there are often fewer frames than features.
_SHRINKAGE_FLOOR = 0.3


def frame_features(
    image: NDArray[np.floating], embedding: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Feature vector of one normalised frame.

    Args:
        image: (ny, nx) normalised frame.
        embedding: (m,) pooled features of the network, None to use the spectrum alone.

    Returns:
        (m + SPECTRUM_RINGS,) float64.
    """
    spectrum = radial_power_spectrum(image)
    return spectrum if embedding is None else np.concatenate([np.asarray(embedding, np.float64), spectrum])


def radial_power_spectrum(image: NDArray[np.floating], rings: int = SPECTRUM_RINGS) -> NDArray[np.float64]:
    """Logarithm of the mean power in rings of equal logarithmic width, in cycles per pixel.

    Args:
        image: (ny, nx), each side at least 32 pixels for all rings to hold samples.
        rings: number of rings between 1/32 and 1/2 cycle per pixel.

    Returns:
        (rings,) float64; frames larger than 256 pixels contribute their central 256 x 256 pixels.
    """
    image = np.asarray(image, np.float32)
    top, left = (max(side - 256, 0) // 2 for side in image.shape)
    image = image[top : top + 256, left : left + 256]
    window, ring, count = _window_and_rings(image.shape[0], image.shape[1], rings)
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2 / (window**2).sum()
    summed = np.bincount(ring, weights=power.ravel(), minlength=rings + 2)[1 : rings + 1]
    return np.log(summed / np.maximum(count, 1) + 1e-9)


@lru_cache(maxsize=8)
def _window_and_rings(
    ny: int, nx: int, rings: int
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Hann window (ny, nx), ring of each sample of the half spectrum, and how many samples a ring has."""
    window = np.multiply.outer(np.hanning(ny), np.hanning(nx)).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)[None, :])
    ring = np.digitize(frequency.ravel(), np.geomspace(1 / 32, 1 / 2, rings + 1))
    count = np.bincount(ring, minlength=rings + 2)[1 : rings + 1]
    for each in (window, ring, count):
        each.setflags(write=False)
    return window, ring, count


class DriftReference(BaseModel):
    """What normal looks like; plain JSON, so it travels inside a model bundle.

    Attributes:
        mean: (k,) mean feature vector.
        scale: (k,) standard deviation of each feature.
        precision: (k, k) inverse of the shrunk correlation matrix, row by row.
        edge_distance: 99th percentile of the held-out Mahalanobis distances of the reference frames.
        mean_entropy: mean over the reference frames of :func:`eucentric_models.mean_entropy`.
        frames: how many frames the reference was made from.
        sample: held-out distance and mean entropy of frames that do not repeat each other: what tests with a
            declared false-alarm rate compare with (:func:`eucentric_models.judge_window`). Empty in
            references that were made before there were such tests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = Field(min_length=1)
    scale: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    edge_distance: float = Field(gt=0)
    mean_entropy: float = Field(ge=0)
    frames: int = Field(ge=2)
    sample: tuple[tuple[float, ...], ...] = Field(default=(), max_length=4096)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        size = len(self.mean)
        if len(self.scale) != size or {len(self.precision), *map(len, self.precision)} != {size}:
            raise ValueError("mean, scale and precision must have one length")
        if any(len(row) != _STATISTICS for row in self.sample) or len(self.sample) > self.frames:
            raise ValueError(f"the sample must have at most one row of {_STATISTICS} numbers for each frame")
        return self

    @classmethod
    def fit(
        cls,
        features: Sequence[NDArray[np.floating]],
        entropies: Sequence[float],
        *,
        views_per_frame: int = 1,
    ) -> DriftReference:
        """Build a reference from frames that are known to be good.

        The percentile is taken over distances of frames left out of the fit (5 folds); distances of fitted
        frames would be far too small when there are fewer frames than features.

        Args:
            features: one (k,) vector per frame, at least 10.
            entropies: one mean entropy per frame.
            views_per_frame: how many vectors in a row are of one frame; the sample takes one of them.

        Raises:
            DriftReferenceError: fewer than 10 frames, unequal lengths, or values that are not finite.
        """
        if len(features) < 10 or len(features) != len(entropies):
            raise _unusable(f"{len(features)} feature vectors and {len(entropies)} entropies were given")
        if len({np.shape(f) for f in features}) != 1:
            raise _unusable("the feature vectors have different lengths")
        matrix = np.stack([np.asarray(f, np.float64) for f in features])
        if not (np.isfinite(matrix).all() and np.isfinite(entropies).all()):
            raise _unusable("features or entropies hold NaN or infinity")
        held_out = np.empty(len(matrix))
        fold = np.arange(len(matrix)) % _FOLDS
        for k in range(_FOLDS):
            held_out[fold == k] = _distances(matrix[fold == k], *_moments(matrix[fold != k]))
        mean, scale, precision = _moments(matrix)
        return cls(
            mean=tuple(mean.tolist()),
            scale=tuple(scale.tolist()),
            precision=tuple(tuple(row) for row in precision.tolist()),
            edge_distance=float(np.percentile(held_out, _EDGE_PERCENTILE)),
            mean_entropy=float(np.mean(entropies)),
            frames=len(matrix),
            sample=tuple(zip(held_out.tolist(), map(float, entropies), strict=True))[::views_per_frame],
        )

    def score(self, features: NDArray[np.floating]) -> float:
        """Drift score of one frame: below 1 is normal, above 1 is outside of what the reference saw.

        Args:
            features: (k,) vector from the same ensemble.

        Raises:
            DriftReferenceError: the vector has another length or holds NaN or infinity.
        """
        return self._distance(features) / self.edge_distance

    def statistics(self, features: NDArray[np.floating], entropy: float) -> tuple[float, ...]:
        """Distance and entropy of a frame, as `sample` holds them of the reference frames.

        Args:
            features: (k,) vector from the same ensemble.
            entropy: the frame's mean entropy.

        Raises:
            DriftReferenceError: the vector has another length or holds NaN or infinity.
        """
        return (self._distance(features), float(entropy))

    def _distance(self, features: NDArray[np.floating]) -> float:
        vector = np.asarray(features, np.float64)
        if vector.shape != (len(self.mean),) or not np.isfinite(vector).all():
            raise _unusable(f"features of shape {vector.shape} do not fit {len(self.mean)} or are not finite")
        return float(_distances(vector[None], *self._fitted)[0])

    @cached_property
    def _fitted(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean, scale and precision as arrays: making them of numbers takes longer than a frame's score."""
        return np.array(self.mean), np.array(self.scale), np.array(self.precision)

    def quality_proxy(self, entropy: float) -> float:
        """Mean entropy relative to the reference: near 1 is as sure as ever, well above 1 is doubt."""
        return entropy / max(self.mean_entropy, 1e-12)

    def to_json(self) -> str:
        """Serialise."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> DriftReference:
        """Read what :meth:`to_json` wrote.

        Raises:
            DriftReferenceError: the text is not a drift reference.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _unusable(f"the text is not a drift reference ({error})") from error


def _moments(
    matrix: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    mean = matrix.mean(axis=0)
    spread = matrix.std(axis=0)
    # Channels that are almost always off would turn the first flicker into an enormous distance.
    scale = np.maximum(spread, max(_SCALE_FLOOR * float(np.median(spread)), 1e-6))
    standard = (matrix - mean) / scale
    return mean, scale, np.asarray(np.linalg.inv(_shrunk_correlation(standard)), np.float64)


def _shrunk_correlation(standard: NDArray[np.float64]) -> NDArray[np.float64]:
    # Ledoit and Wolf, J. Multivar. Anal. 88, 365 (2004): the shrinkage towards the identity that minimises
    # the expected squared error, estimated from the samples themselves.
    n, k = standard.shape
    sample = standard.T @ standard / n
    spread = ((sample - np.eye(k)) ** 2).sum()
    noise = ((standard**2).T @ (standard**2) / n - sample**2).sum() / n
    shrinkage = min(1.0, noise / spread) if spread > 0 else 1.0
    shrinkage = max(shrinkage, _SHRINKAGE_FLOOR)
    return np.asarray((1 - shrinkage) * sample + shrinkage * np.eye(k))


def _distances(
    matrix: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    standard = (matrix - mean) / scale
    return np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", standard, precision, standard), 0))


def _unusable(reason: str) -> DriftReferenceError:
    return DriftReferenceError(
        f"The drift reference cannot be used: {reason}.",
        safe="no drift score was computed; detections are unaffected.",
        next_step="build the reference from at least 10 frames of the model's own ensemble.",
    )
