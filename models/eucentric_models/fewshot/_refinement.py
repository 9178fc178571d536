"""What the chips of an image say about classes that a few of them were pointed at for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ._encoder import unit_rows
from ._metric import SupportMetric
from ._prototypes import (
    PrototypeClassifier,
    cosine_distances,
    leave_one_out_distances,
    probabilities_at,
    typical_distances,
)

_LEAST_TYPICALITY = 0.05
_LEAST_PROBABILITY = 0.9
"""Chips that are less typical, or less clearly of one class, say nothing: chosen on simulated images."""


@dataclass(frozen=True, slots=True)
class ImageRefinement:
    """Support chips and the chips of one image, with what is needed to refine prototypes by them.

    One step of soft k-means that starts at the prototypes of the support set (Ren et al., ICLR 2018), without
    the chips that are typical of no class, as these may be of one without support; and the scatter within
    classes and the typical distances from the chips that are clearly of one class. Support chips that were
    all taken from one spot know neither.

    Attributes:
        classifier: the refined one.
        support: (n_support, d) float32 in the refined metric.
        class_id: (n_support,) classes of the support chips.
        chips: (n, d) float32, chips of the image in the refined metric.
        typical: (n,) which of them count.
    """

    classifier: PrototypeClassifier
    support: NDArray[np.float32]
    class_id: NDArray[np.intp]
    chips: NDArray[np.float32]
    typical: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        given: PrototypeClassifier,
        support: NDArray[np.float32],
        class_id: NDArray[np.intp],
        chips: NDArray[np.float32],
    ) -> Self:
        """Refine a classifier.

        Args:
            given: fitted to the support chips.
            support: (n_support, d) embeddings.
            class_id: (n_support,) of each.
            chips: (n, d) embeddings of the image.
        """
        first = given.classify(chips, _LEAST_TYPICALITY)
        typical = first.class_id >= 0
        clear = typical & (first.probabilities.max(axis=1) > _LEAST_PROBABILITY)
        clear_id = np.concatenate([class_id, first.nearest[clear]])
        metric = SupportMetric.fit(np.concatenate([support, chips[clear]]), clear_id)
        near_support, near_chips = metric.applied(support), metric.applied(chips)
        prototypes = _prototypes(near_support, class_id, near_chips[typical], first.probabilities[typical])
        left_out = leave_one_out_distances(support, class_id)
        found = cosine_distances(near_chips[clear], prototypes)
        distances = np.concatenate([left_out, found])
        own = distances[np.arange(len(clear_id)), clear_id]
        classifier = PrototypeClassifier(
            metric, prototypes, given.temperature, *typical_distances(own, clear_id)
        )
        return cls(classifier, near_support, class_id, near_chips, typical)

    def distances_with(self, distances: NDArray[np.float32], drawn: NDArray[np.intp]) -> NDArray[np.float32]:
        """Distances (n, n_classes) that other support chips lead to, in the refined metric.

        Args:
            distances: (n, n_classes) to the prototypes of the drawn chips alone.
            drawn: indices of support chips.
        """
        shares = probabilities_at(distances[self.typical], self.classifier.temperature)
        prototypes = _prototypes(self.support[drawn], self.class_id[drawn], self.chips[self.typical], shares)
        return cosine_distances(self.chips, prototypes)


def _prototypes(
    support: NDArray[np.float32],
    class_id: NDArray[np.intp],
    chips: NDArray[np.float32],
    shares: NDArray[np.float32],
) -> NDArray[np.float32]:
    members = (class_id[None] == np.arange(shares.shape[1])[:, None]).astype(np.float32)
    return unit_rows(members @ support + shares.T @ chips)
