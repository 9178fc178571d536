"""Nearest prototype with a calibrated answer and the right to say "none of these"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ._encoder import unit_rows
from ._metric import SupportMetric, class_means
from ._typical_distance import OWN_SHARE, TypicalDistances

NONE_OF_THESE = "none of these"
"""What a chip is called that is farther from its nearest class than chips of that class are."""

_TEMPERATURES = np.geomspace(0.01, 1.0, 61)
_TEMPERATURE_SHARE = 0.35
"""Of the temperature by Laplace's rule, which is too modest: with it confidence is the share of right
answers on simulated specimens."""
_CLASS_PRIOR_CHIPS = 2.0
_SMALLEST_DISTANCE = 1e-4
_MOST_FREEDOM = 30
"""Distances are no normal deviates, however many there are."""
_SMALLEST_SPREAD = 0.15
"""A handful of chips may happen to lie at nearly the same distance; others of their class do not."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What chips are.

    Attributes:
        nearest: (n,) most probable class: of the nearest prototype, unless neighbours say otherwise.
        class_id: (n,) the same, or -1 for "none of these".
        distances: (n, n_classes) float32, cosine distance to each prototype, 0 to 2.
        probabilities: (n, n_classes) float32, given that the chip is of one of the classes; rows sum to 1.
        typicality: (n,) float32, share of chips of the class with the nearest prototype that would lie
            farther from it.
    """

    nearest: NDArray[np.intp]
    class_id: NDArray[np.intp]
    distances: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    typicality: NDArray[np.float32]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(n,) probability of the nearest class; for "none of these" that of not belonging to it."""
        own = np.take_along_axis(self.probabilities, self.nearest[:, None], 1)[:, 0]
        return np.where(self.class_id < 0, 1 - self.typicality, own).astype(np.float32)


@dataclass(frozen=True, slots=True)
class PrototypeClassifier:
    """Prototypes of a support set (Snell et al., NeurIPS 2017) in its own metric.

    Attributes:
        metric: of the support set.
        prototypes: (n_classes, d) float32 of length 1.
        temperature: cosine distance over which probabilities fall by a factor of e.
        log_distance: (n_classes,) mean logarithm of the distance of a chip to its own prototype.
        log_spread: (n_classes,) standard error of prediction of that logarithm.
        freedom: degrees of freedom of the spread.
        typical: what is known of the encoder's distances; None for an encoder that nothing is known of, whose
            support set alone then says what is typical.
    """

    metric: SupportMetric
    prototypes: NDArray[np.float32]
    temperature: float
    log_distance: NDArray[np.float64]
    log_spread: NDArray[np.float64]
    freedom: int
    typical: TypicalDistances | None = None

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.float32],
        class_id: NDArray[np.intp],
        typical: TypicalDistances | None = None,
    ) -> Self:
        """Prototypes, temperature and typical distances; the latter two by leaving out each chip once.

        Takes milliseconds: nothing is trained.

        Args:
            embeddings: (n, d) float32 of length 1.
            class_id: (n,) classes from 0, each with at least two chips.
            typical: distances of the encoder, where they are known.
        """
        metric, prototypes = fit_prototypes(embeddings, class_id)
        left_out = leave_one_out_distances(embeddings, class_id)
        own = left_out[np.arange(len(class_id)), class_id]
        return cls(
            metric,
            prototypes,
            _temperature(left_out, class_id),
            *typical_distances(own, class_id),
            typical,
        )

    def classify(self, embeddings: NDArray[np.float32], false_reject_rate: float) -> Classification:
        """Classes of chips.

        Args:
            embeddings: (n, d) float32 of length 1.
            false_reject_rate: share of chips of the classes that may be called "none of these"; 0 for never.
        """
        distances = distances_to(self.metric, self.prototypes, embeddings)
        nearest = distances.argmin(axis=1)
        typicality = self.typicality(distances[np.arange(len(nearest)), nearest], nearest)
        return Classification(
            nearest=nearest,
            class_id=np.where(typicality < false_reject_rate, -1, nearest),
            distances=distances,
            probabilities=probabilities_at(distances, self.temperature),
            typicality=typicality,
        )

    def reject_distances(self, false_reject_rate: float) -> NDArray[np.float64]:
        """(n_classes,) distance beyond which a chip is none of the class."""
        if self.typical is not None:
            return np.exp(self.typical.excess_at(false_reject_rate) + OWN_SHARE * self.log_distance)
        quantile = stats.t.isf(false_reject_rate, self.freedom)
        return np.exp(self.log_distance + quantile * self.log_spread)

    def typicality(self, distances: NDArray[np.float32], class_id: NDArray[np.intp]) -> NDArray[np.float32]:
        """(n,) share of chips of a class that lie farther from it.

        Args:
            distances: (n,) cosine distances.
            class_id: (n,) the classes.
        """
        log_distance = np.log(np.maximum(distances, _SMALLEST_DISTANCE))
        if self.typical is not None:
            return self.typical.share_beyond(log_distance - OWN_SHARE * self.log_distance[class_id])
        excess = (log_distance - self.log_distance[class_id]) / self.log_spread[class_id]
        return np.asarray(stats.t.sf(excess, self.freedom), np.float32)


def fit_prototypes(
    embeddings: NDArray[np.float32], class_id: NDArray[np.intp]
) -> tuple[SupportMetric, NDArray[np.float32]]:
    """Metric and prototypes (n_classes, d) of some chips."""
    metric = SupportMetric.fit(embeddings, class_id)
    return metric, unit_rows(class_means(metric.applied(embeddings), class_id))


def distances_to(
    metric: SupportMetric, prototypes: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n, n_classes) cosine distances."""
    return cosine_distances(metric.applied(embeddings), prototypes)


def cosine_distances(vectors: NDArray[np.float32], prototypes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n_classes) cosine distances of vectors of length 1 that are in the metric of the prototypes."""
    return np.clip(1 - vectors @ prototypes.T, 0, 2).astype(np.float32)


def probabilities_at(distances: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """(n, n_classes) softmax of distances; rows sum to 1."""
    scaled = -distances / np.float32(temperature)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def leave_one_out_distances(
    embeddings: NDArray[np.float32], class_id: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Distances (n, n_classes) of each chip to the prototypes that all others make."""
    distances = np.empty((len(class_id), int(class_id.max()) + 1), np.float32)
    for index in range(len(class_id)):
        others = np.arange(len(class_id)) != index
        metric, prototypes = fit_prototypes(embeddings[others], class_id[others])
        distances[index] = distances_to(metric, prototypes, embeddings[index : index + 1])[0]
    return distances


def _temperature(left_out: NDArray[np.float32], class_id: NDArray[np.intp]) -> float:
    """Temperature under which the classes of left-out chips are least surprising.

    As many right answers as there are support chips do not prove that no chip is ever wrong: by Laplace's
    rule of succession one chip in n + 2 is expected to be.
    """
    count, classes = left_out.shape
    expected = np.full(left_out.shape, 1 / (count + 2) / max(classes - 1, 1))
    expected[np.arange(count), class_id] = 1 - 1 / (count + 2)
    scaled = -left_out[None] / _TEMPERATURES[:, None, None]
    log_p = scaled - np.logaddexp.reduce(scaled, axis=2, keepdims=True)
    return _TEMPERATURE_SHARE * float(_TEMPERATURES[(expected * log_p).sum(axis=(1, 2)).argmax()])


def typical_distances(
    own: NDArray[np.float32], class_id: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Mean and spread of log distances by class, and the degrees of freedom of the spread.

    Few chips say little about one class alone: its mean is shrunk towards that of all, the spread is common.

    Args:
        own: (n,) distance of each chip to the prototype of its class.
        class_id: (n,) its class; every class occurs.
    """
    log_own = np.log(np.maximum(own, _SMALLEST_DISTANCE))
    counts = np.bincount(class_id)
    means = np.bincount(class_id, log_own) / counts
    freedom = max(len(log_own) - len(counts), 1)
    spread = max(float(np.sqrt(((log_own - means[class_id]) ** 2).sum() / freedom)), _SMALLEST_SPREAD)
    shrunk = (counts * means + _CLASS_PRIOR_CHIPS * log_own.mean()) / (counts + _CLASS_PRIOR_CHIPS)
    return shrunk, spread * np.sqrt(1 + 1 / counts), min(freedom, _MOST_FREEDOM)
