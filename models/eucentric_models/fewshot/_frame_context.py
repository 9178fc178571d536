"""What the chips of one frame say together: neighbours are heard, then prototypes follow the frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._blends import Blends, coupled
from ._chips import Chips
from ._encoder import unit_rows
from ._metric import SupportMetric, class_means
from ._neighbourhood import Neighbourhood
from ._prototypes import PrototypeClassifier, cosine_distances, fit_prototypes, probabilities_at

COMMON_PART = 0.5
"""Part of the mean prototype that is taken away: what all classes have in common tells none from another."""
MOST_FRAME_CHIPS = 2.0
"""What chips of the frame count for at most, over the support chips of their class."""
FEWEST_FRAME_CHIPS = 3.0
"""A class that has fewer chips in the frame, over its support chips, keeps the prototype of its support
chips: chips that were taken for it by mistake must not make it what they are."""
LEAST_PROBABILITY = 0.5
"""Chips that are less sure of their class say nothing about it. All four chosen on simulated specimens."""


class FrameContext:
    """The chips of one frame, ready for any support chips of a set of classes.

    Support chips from one spot know only that spot. After each chip has listened to its neighbours, chips of
    the frame count as further support chips of the class they most likely are, all together no more than
    twice as much as those that somebody chose (one bounded step of soft k-means, Ren et al., ICLR 2018).

    Args:
        chips: of the frame.
        vectors: (n, d) their embeddings, of length 1.
        support: (m, d) embeddings of all support chips.
        class_id: (m,) their classes.
        smoothness: how much neighbours count; at 0 every chip speaks for itself and prototypes stay.
        blends: of the support chips; they say where one class ends and another begins.
    """

    def __init__(
        self,
        chips: Chips,
        vectors: NDArray[np.float32],
        support: NDArray[np.float32],
        class_id: NDArray[np.intp],
        smoothness: float,
        blends: Blends | None = None,
    ) -> None:
        self._common = np.float32(COMMON_PART) * class_means(support, class_id).mean(axis=0)
        self._vectors = unit_rows(vectors - self._common)
        own = PrototypeClassifier.fit(unit_rows(support - self._common), class_id)
        self._temperature = own.temperature
        self._follows = smoothness > 0
        self._blends = (
            None if blends is None else replace(blends, vectors=unit_rows(blends.vectors - self._common))
        )
        self._around = Neighbourhood.of(chips, own.metric.applied(self._vectors), smoothness)

    def probabilities(self, support: NDArray[np.float32], class_id: NDArray[np.intp]) -> NDArray[np.float32]:
        """(n, n_classes) of the chips of the frame; rows sum to 1.

        Args:
            support: (m, d) embeddings of the support chips, or of some of them; every class occurs.
            class_id: (m,) their classes.
        """
        chosen = unit_rows(support - self._common)
        metric, prototypes = fit_prototypes(chosen, class_id)
        vectors = metric.applied(self._vectors)
        if self._follows:
            distances = cosine_distances(vectors, prototypes)
            found = self._around.smoothed(probabilities_at(distances, self._temperature))
            prototypes = _followed(metric, chosen, class_id, vectors, found)
        distances = cosine_distances(vectors, prototypes)
        if self._blends is None:
            return self._around.smoothed(probabilities_at(distances, self._temperature))
        half = cosine_distances(metric.applied(self._blends.vectors), prototypes)
        return self._around.smoothed(coupled(distances, self._blends.offsets(half), self._temperature))


def _followed(
    metric: SupportMetric,
    support: NDArray[np.float32],
    class_id: NDArray[np.intp],
    vectors: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(n_classes, d) prototypes of support chips and of the chips of the frame, which are in the metric."""
    counts = np.bincount(class_id).astype(np.float32)
    weight = probabilities * (probabilities.max(axis=1, keepdims=True) > LEAST_PROBABILITY)
    present = weight.sum(axis=0)
    share = np.minimum(1, MOST_FRAME_CHIPS * counts / np.maximum(present, 1e-9))
    share *= present >= FEWEST_FRAME_CHIPS * counts
    of_support = class_means(metric.applied(support), class_id) * counts[:, None]
    return unit_rows(of_support + share[:, None] * (weight.T @ vectors))
