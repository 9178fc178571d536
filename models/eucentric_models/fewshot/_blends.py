"""Chips that are half of one class and half of another, made of support chips: where one class ends.

A structure that becomes fainter towards what covers it is recognised long after most of the signal is of the
cover: in the middle of simulated films the nearest prototype changed where a quarter of the film was left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import ndimage

from eucentric_core import FrozenModel

from ._encoder import unit_rows
from ._metric import SupportMetric, class_means
from ._packed import PackedArray
from ._prototypes import cosine_distances

PER_PAIR, FEWEST_PER_PAIR, MOST_BLENDS = 6, 3, 96
"""Blends of each two classes, and of all: beyond eight classes none are made."""
BELIEVED, _CERTAIN = 0.75, 3.0
"""Part of an offset that is applied, and scatters that it must exceed: chosen on simulated specimens, where
the whole of it costs films that lose contrast without becoming thinner."""
_NOISE_PX = 1.0
_SEED = 0


class KeptBlends(FrozenModel):
    """Blends as a bundle keeps them, where the pixels of the support chips are left out.

    Attributes:
        vectors: (m, d).
        first: one class of each.
        second: the other.
    """

    vectors: PackedArray
    first: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MOST_BLENDS)]
    second: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MOST_BLENDS)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.vectors.shape) != 2 or {len(self.first), len(self.second)} != {self.vectors.shape[0]}:
            raise ValueError("vectors and classes of the blends differ in number")
        return self

    def opened(self) -> Blends:
        """As they are used."""
        first, second = np.array(self.first, np.intp), np.array(self.second, np.intp)
        return Blends(unit_rows(self.vectors.array()), first, second)


@dataclass(frozen=True, slots=True)
class Blends:
    """Embedded blends of support chips.

    Attributes:
        vectors: (m, d) float32 of length 1.
        first: (m,) one class of each.
        second: (m,) the other.
    """

    vectors: NDArray[np.float32]
    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        embed: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        pixels: NDArray[np.float32],
        class_id: NDArray[np.intp],
    ) -> Self | None:
        """Blends of every two classes; None where there are too many classes.

        Args:
            embed: the encoder.
            pixels: (n, side, side) of the support chips, on the grey scale of their frame.
            class_id: (n,) their classes.
        """
        pairs = np.array(list(combinations(range(int(class_id.max()) + 1), 2)))
        each = min(PER_PAIR, MOST_BLENDS // len(pairs))
        if each < FEWEST_PER_PAIR:
            return None
        rng = np.random.default_rng(_SEED)
        first, second = np.repeat(pairs, each, axis=0).T
        chosen = [
            [int(rng.choice(np.flatnonzero(class_id == one))) for one in pair]
            for pair in zip(first.tolist(), second.tolist(), strict=True)
        ]
        blended = np.stack([half_and_half(pixels[one], pixels[other], rng) for one, other in chosen])
        return cls(embed(blended), first, second)

    def kept(self) -> KeptBlends:
        """As a bundle keeps them."""
        return KeptBlends(
            vectors=PackedArray.of(self.vectors),
            first=tuple(self.first.tolist()),
            second=tuple(self.second.tolist()),
        )

    def nearest_of_class(
        self, metric: SupportMetric, vectors: NDArray[np.float32], class_id: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """(n,) cosine distance of chips to the nearest mean blend of their class with another.

        Args:
            metric: of the support set.
            vectors: (n, d) of the chips.
            class_id: (n,) their classes.
        """
        pairs, of_pair = np.unique(np.stack([self.first, self.second], axis=1), axis=0, return_inverse=True)
        middles = unit_rows(class_means(metric.applied(self.vectors), of_pair.reshape(-1)))
        distances = cosine_distances(metric.applied(vectors), middles)
        own = (pairs[None] == class_id[:, None, None]).any(axis=2)
        return np.where(own, distances, np.float32(2)).min(axis=1)

    def offsets(self, distances: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n_classes, n_classes) by how much farther a chip must be from the second class to be of the first.

        Where the blends of two classes scatter, as those of two that look alike do, less of it is believed
        (the positive part of James and Stein).

        Args:
            distances: (m, n_classes) of the blends.
        """
        rows, count = np.arange(len(distances)), distances.shape[1]
        margin = distances[rows, self.second] - distances[rows, self.first]
        offsets = np.zeros((count, count))
        for first, second in combinations(range(count), 2):
            own = margin[(self.first == first) & (self.second == second)].astype(np.float64)
            mean, scatter = own.mean(), own.std(ddof=1)
            if abs(mean) > _CERTAIN * scatter:
                offsets[first, second] = BELIEVED * mean * (1 - (_CERTAIN * scatter / mean) ** 2)
        return offsets - offsets.T


def half_and_half(
    first: NDArray[np.float32], second: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A chip (side, side) of which half the signal is of each of two chips.

    The mean of two has half the variance of their noise. What is missing is added from the fine residuals of
    both, turned round and moved, so that they follow no structure.
    """
    mean = 0.5 * (first + second)
    for chip in (first, second):
        residual = (chip - ndimage.gaussian_filter(chip, _NOISE_PX))[::-1, ::-1]
        mean = mean + 0.5 * np.roll(residual, rng.integers(0, len(chip), 2), axis=(0, 1))
    return np.asarray(mean, np.float32)


def coupled(
    distances: NDArray[np.float32], offsets: NDArray[np.float64], temperature: float
) -> NDArray[np.float32]:
    """(n, n_classes) probabilities from those of every two classes (Price et al., NIPS 1994); rows sum to 1.

    Without offsets this is the softmax of distances over the temperature.

    Args:
        distances: (n, n_classes).
        offsets: (n_classes, n_classes), antisymmetric.
        temperature: distance over which probabilities fall by a factor of e.
    """
    exponent = (distances[:, :, None] - distances[:, None, :] + offsets[None]) / temperature
    # The sum over all others of 1 / r_ij, less n_classes - 2; the class itself adds 2.
    inverse = (1 + np.exp(np.clip(exponent, -60, 60))).sum(axis=2) - distances.shape[1]
    return np.asarray((1 / inverse) / (1 / inverse).sum(axis=1, keepdims=True), np.float32)
