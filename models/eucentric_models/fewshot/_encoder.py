"""The seam between chips and whatever describes them by a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class ChipEncoder(Protocol):
    """Describes chips so that chips that look alike are close in angle.

    What holds for all (tests/models/fewshot/test_encoders.py is run over every one): embeddings have length 1
    and are finite, the same chip has the same embedding whatever else is in the batch, nothing global is
    changed, and threads may share an encoder.
    """

    @property
    def version(self) -> str:
        """Changes whenever embeddings do: those of two versions must never be compared."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings of chips.

        Args:
            chips: (n, ny, nx) float32, finite, on the grey scale of their frame.

        Returns:
            (n, dimension) float32, each row of length 1.
        """

    def files(self) -> Mapping[str, bytes]:
        """What a bundle must hold for `open_encoder` to open this very encoder there, by file name."""


class CombinedEncoder:
    """Several encoders side by side; squared cosine distances add up by weight.

    Args:
        parts: encoders with their weights, which are made to sum to 1.
    """

    def __init__(self, parts: Sequence[tuple[ChipEncoder, float]]) -> None:
        total = sum(weight for _, weight in parts)
        if not parts or any(weight <= 0 for _, weight in parts):
            raise ValueError("an encoder is combined of at least one part, of positive weight")
        self._parts = tuple((encoder, weight / total) for encoder, weight in parts)
        self.version = "+".join(f"{encoder.version}:{weight / total:.3g}" for encoder, weight in parts)
        self.dimension = sum(encoder.dimension for encoder, _ in parts)

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`ChipEncoder`."""
        vectors = [encoder.embed(chips) for encoder, _ in self._parts]
        return self.joined(vectors, [share for _, share in self._parts])

    @staticmethod
    def joined(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
        """Embeddings (n, d_i) of several encoders as one of length 1; weights sum to 1."""
        return np.concatenate(
            [np.float32(np.sqrt(weight)) * part for part, weight in zip(vectors, weights, strict=True)],
            axis=1,
        )

    def files(self) -> dict[str, bytes]:
        """See :class:`ChipEncoder`."""
        return {name: blob for encoder, _ in self._parts for name, blob in encoder.files().items()}


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each row divided by its length; a row of zeros stays what it is."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
