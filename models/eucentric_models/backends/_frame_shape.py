"""What all compiled ensembles check and pad alike, so that a runtime sees one batch of one size only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._errors import BackendError
from ._protocols import EnsembleOutput
from ._source import EnsembleSource

__all__ = ["FrameShape", "reflected", "whole_size"]

MAX_BATCH = 64
MAX_PIXELS = 4096 * 4096
MAX_THREADS = 256


@dataclass(frozen=True, slots=True)
class FrameShape:
    """The images that an ensemble was compiled for.

    Attributes:
        shape: `(ny, nx)` of the images.
        padded: `(ny, nx)` as the network takes it, multiples of `spec.size_multiple`.
        batch: how many images one call takes at most.
    """

    shape: tuple[int, int]
    padded: tuple[int, int]
    batch: int

    @classmethod
    def checked(cls, source: EnsembleSource, shape: tuple[int, int], batch: int, threads: int) -> FrameShape:
        """The shape for an ensemble.

        Raises:
            BackendError: shape, batch or threads are out of bounds.
        """
        multiple = source.spec.size_multiple
        if min(shape) < multiple or shape[0] * shape[1] > MAX_PIXELS:
            raise _refused(f"images of {shape} pixels; sides are at least {multiple}, in all {MAX_PIXELS}")
        if not 1 <= batch <= MAX_BATCH:
            raise _refused(f"a batch of {batch}; it is 1 to {MAX_BATCH}")
        if not 1 <= threads <= MAX_THREADS:
            raise _refused(f"{threads} threads; they are 1 to {MAX_THREADS}")
        return cls((shape[0], shape[1]), whole_size(shape, multiple), batch)

    def whole_batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(batch, 1, ny, nx) contiguous float32 of the padded shape; missing images are zeros.

        Raises:
            BackendError: the images are of another shape or dtype, or too many.
        """
        fits = images.ndim == 3 and images.shape[1:] == self.shape and 1 <= len(images) <= self.batch
        if not fits or images.dtype != np.float32:
            raise _refused(
                f"images {images.shape} {images.dtype}; it takes 1 to {self.batch} of {self.shape}, float32"
            )
        images = reflected(images, self.padded)
        if len(images) < self.batch:
            images = np.pad(images, ((0, self.batch - len(images)), (0, 0), (0, 0)))
        return np.ascontiguousarray(images)[:, None]

    def output(
        self,
        count: int,
        maps: NDArray[np.float32],
        deviation: NDArray[np.float32] | None,
        strongest: NDArray[np.float32] | None,
        embedding: NDArray[np.float32],
    ) -> EnsembleOutput:
        """The part that answers the images that were given, as arrays of the caller's own.

        Args:
            count: images that were given.
            maps: (batch, c, *padded).
            deviation: (batch, *padded); None for one member, which differs from nobody.
            strongest: (batch, m, *padded); None where it is the same as the maps: one member, one class.
            embedding: (batch, m * embedding_size).
        """
        ny, nx = self.shape
        own = np.array(maps[:count, :, :ny, :nx], np.float32, order="C")  # as decoding reads it
        return EnsembleOutput(
            maps=own,
            deviation=np.zeros((count, ny, nx), np.float32)
            if deviation is None
            else np.array(deviation[:count, :ny, :nx], np.float32),
            strongest=own
            if strongest is None
            else np.array(strongest[:count, :, :ny, :nx], np.float32, order="C"),
            embedding=np.array(embedding[:count], np.float32),
        )


def whole_size(shape: tuple[int, ...], multiple: int) -> tuple[int, int]:
    """`(ny, nx)` of the smallest images that hold one of this shape, as multiples."""
    return shape[0] + -shape[0] % multiple, shape[1] + -shape[1] % multiple


def reflected(images: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Images (..., ny, nx) as large as `size`, reflected at the last row and column, as the networks pad."""
    missing = [(0, whole - side) for whole, side in zip(size, images.shape[-2:], strict=True)]
    if missing == [(0, 0), (0, 0)]:
        return images
    return np.pad(images, [(0, 0)] * (images.ndim - 2) + missing, mode="reflect")


def _refused(what: str) -> BackendError:
    return BackendError(
        f"The back end was asked for {what}.",
        safe="nothing was computed.",
        next_step="compile for the shape, batch and threads that are used.",
    )
