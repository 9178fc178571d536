"""A support set at work."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._blends import Blends
from ._chips import Chips
from ._class_map import ClassMap, class_shares
from ._encoder import ChipEncoder
from ._frame_context import FrameContext
from ._neighbourhood import DEFAULT_SMOOTHNESS
from ._prototypes import (
    NONE_OF_THESE,
    Classification,
    PrototypeClassifier,
    distances_to,
    fit_prototypes,
)
from ._support_set import SupportSet
from ._typical_distance import shipped_distances
from .errors import SupportSetError

DEFAULT_FALSE_REJECT_RATE = 0.002
"""Every chip that is not far outside gets a class: holes in a sound region are worse than few mistakes."""
_RESAMPLES = 40


class FewShotModel:
    """A support set ready to classify. Never changed by use: a new support set is a new model, in
    milliseconds.

    Args:
        support: named chips.
        encoder: that made the embeddings of the support set.
        false_reject_rate: share of chips of the classes that may be called "none of these"; 0 for never.
        smoothness: how much neighbours in an image count (:class:`Neighbourhood`); 0 for each chip by
            itself.
        blends: of the support chips, where they were kept; made of their pixels otherwise.

    Raises:
        SupportSetError: the support set was embedded by another encoder.
    """

    def __init__(
        self,
        support: SupportSet,
        encoder: ChipEncoder,
        *,
        false_reject_rate: float = DEFAULT_FALSE_REJECT_RATE,
        smoothness: float = DEFAULT_SMOOTHNESS,
        blends: Blends | None = None,
    ) -> None:
        if support.encoder != encoder.version:
            raise SupportSetError(
                f"The support set was embedded by {support.encoder}, not by {encoder.version}.",
                safe="nothing was classified.",
                next_step="embed it again: support.embedded_by(encoder).",
            )
        self.support = support
        self.encoder = encoder
        self.false_reject_rate = false_reject_rate
        self.smoothness = smoothness
        self._kept_blends = blends
        self.classes = (*support.classes, NONE_OF_THESE)
        typical = shipped_distances().get(encoder.version)
        self.classifier = PrototypeClassifier.fit(support.vectors, support.class_id, typical)

    @cached_property
    def blends(self) -> Blends | None:
        """Of the support chips; None without their pixels or with too many classes."""
        if self._kept_blends is not None or self.support.pixels is None:
            return self._kept_blends
        return Blends.of(self.encoder.embed, self.support.pixels.array(), self.support.class_id)

    def classify(self, embeddings: NDArray[np.float32]) -> Classification:
        """Classes of embedded chips (n, d), each by itself, whatever else is in the image."""
        return self.classifier.classify(embeddings, self.false_reject_rate)

    def classify_frame(self, chips: Chips, embeddings: NDArray[np.float32] | None = None) -> Classification:
        """Classes of all chips of a frame, by the support set and by what the frame itself shows.

        Args:
            chips: of the frame.
            embeddings: (n, d) of the chips, if there are any already (:class:`EmbeddingCache`).
        """
        vectors = self.encoder.embed(chips.pixels) if embeddings is None else embeddings
        return self._in_context(self._context(chips, vectors), vectors)

    def class_map(
        self, chips: Chips, embeddings: NDArray[np.float32] | None = None, *, seed: int = 0
    ) -> ClassMap:
        """Classes of all chips of a frame, how sure they are, and the share of each class.

        Args:
            chips: of the frame.
            embeddings: (n, d) of the chips, if there are any already (:class:`EmbeddingCache`).
            seed: of the resampling of support chips.
        """
        vectors = self.encoder.embed(chips.pixels) if embeddings is None else embeddings
        context = self._context(chips, vectors)
        result = self._in_context(context, vectors)
        class_id = np.where(result.class_id < 0, len(self.classes) - 1, result.class_id)
        fractions, uncertainty = self._resampled(vectors, context, result, np.random.default_rng(seed))
        return ClassMap(
            chips=chips,
            classes=self.classes,
            classification=result,
            class_id=class_id,
            uncertainty=uncertainty,
            changed=result.nearest != result.distances.argmin(axis=1),
            shares=class_shares(chips, self.classes, class_id, result.confidence, fractions),
        )

    def _context(self, chips: Chips, vectors: NDArray[np.float32]) -> FrameContext:
        support = self.support
        return FrameContext(chips, vectors, support.vectors, support.class_id, self.smoothness, self.blends)

    def _in_context(self, context: FrameContext, vectors: NDArray[np.float32]) -> Classification:
        """What is far from every class stays none of these; between two classes a chip is of one of them."""
        alone = self.classify(vectors)
        typicality = np.maximum(alone.typicality, self._between(alone, vectors))
        probabilities = context.probabilities(self.support.vectors, self.support.class_id)
        nearest = probabilities.argmax(axis=1)
        return replace(
            alone,
            nearest=nearest,
            class_id=np.where(typicality < self.false_reject_rate, -1, nearest),
            probabilities=probabilities,
            typicality=typicality,
        )

    def _between(self, answer: Classification, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) typicality of chips as blends of their nearest class with another; 0 without blends."""
        if self.blends is None:
            return np.zeros(len(vectors), np.float32)
        nearest = answer.distances.argmin(axis=1)
        distances = self.blends.nearest_of_class(self.classifier.metric, vectors, nearest)
        return self.classifier.typicality(distances, nearest)

    def _resampled(
        self,
        vectors: NDArray[np.float32],
        context: FrameContext,
        result: Classification,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Area fractions (resamples, n_classes + 1) and uncertainty (n,) with other support chips."""
        support, class_id = self.support.vectors, self.support.class_id
        bounds = self.classifier.reject_distances(self.false_reject_rate)
        between = self._between(result, vectors) >= self.false_reject_rate
        count = len(self.support.classes)
        members = [np.flatnonzero(class_id == index) for index in range(count)]
        fractions = np.empty((_RESAMPLES, count + 1))
        own = np.empty((_RESAMPLES, len(vectors)), np.float32)
        for index in range(_RESAMPLES):
            drawn = np.concatenate([rng.choice(chips, len(chips)) for chips in members])
            distances = distances_to(*fit_prototypes(support[drawn], class_id[drawn]), vectors)
            probabilities = context.probabilities(support[drawn], class_id[drawn])
            rejected = (distances.min(axis=1) > bounds[distances.argmin(axis=1)]) & ~between
            found = np.where(rejected, count, probabilities.argmax(axis=1))
            fractions[index] = np.bincount(found, minlength=count + 1)
            own[index] = probabilities[np.arange(len(vectors)), result.nearest]
        return fractions / len(vectors), own.std(axis=0)
