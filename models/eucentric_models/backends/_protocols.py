"""The seam between an ensemble and the runtime that computes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ._source import EnsembleSource

__all__ = ["Backend", "CompiledEnsemble", "EnsembleOutput", "ForeignGraph", "GraphBackend", "Precision"]

Precision = Literal["float32", "bfloat16", "float16", "int8"]


@dataclass(frozen=True, slots=True)
class EnsembleOutput:
    """What an ensemble of m members with c classes says about n images; arrays of the caller's own.

    Attributes:
        maps: (n, c, ny, nx) float32, mean over the members of the class probabilities.
        deviation: (n, ny, nx) float32, standard deviation over the members, largest over the classes.
        strongest: (n, m, ny, nx) float32, each member's probability of its strongest class.
        embedding: (n, m * embedding_size) float32, pooled features of the bottleneck, member after member.
    """

    maps: NDArray[np.float32]
    deviation: NDArray[np.float32]
    strongest: NDArray[np.float32]
    embedding: NDArray[np.float32]


class CompiledEnsemble(Protocol):
    """An ensemble, ready for images of one shape. Its weights never change; threads may share it."""

    @property
    def shape(self) -> tuple[int, int]:
        """`(ny, nx)` of the images."""

    @property
    def batch(self) -> int:
        """How many images one call takes at most."""

    @property
    def threads(self) -> int:
        """CPU threads that one call uses at most, as the runtime says; 1 for a GPU."""

    def run(self, images: NDArray[np.float32]) -> EnsembleOutput:
        """Compute.

        Args:
            images: (n, ny, nx) float32, normalised; n from 1 to `batch`.

        Raises:
            BackendError: the images are of another shape or dtype, or the runtime failed; the ensemble can
                be used again.
        """

    def close(self) -> None:
        """Give memory and threads back. A call after it raises `BackendError`; closing again does nothing."""


@runtime_checkable
class Backend(Protocol):
    """A runtime with a precision. Nothing heavy is imported before `unavailable` or `compile` is called."""

    @property
    def name(self) -> str:
        """Unique, for example `openvino-bf16`."""

    @property
    def precision(self) -> Precision:
        """Arithmetic inside the networks."""

    @property
    def tolerance(self) -> float:
        """Largest difference of a probability from float32 torch that is to be expected of it."""

    def unavailable(self) -> str | None:
        """Why it cannot be used on this machine, as a sentence; None where it can."""

    def compile(
        self, source: EnsembleSource, *, shape: tuple[int, int], batch: int = 1, threads: int = 1
    ) -> CompiledEnsemble:
        """Make an ensemble ready for images of one shape.

        Args:
            source: architecture and weights.
            shape: `(ny, nx)`, each side at least `spec.size_multiple`; other sides are padded by reflection.
            batch: how many images one call takes at most, at least 1.
            threads: CPU threads that one call may use, at least 1.

        Raises:
            BackendUnavailableError: see `unavailable`.
            BackendError: shape, batch or threads are out of bounds, or the runtime refuses the network.
            WeightsError: the weights do not fit the architecture.
        """


class ForeignGraph(Protocol):
    """A graph of one input and at least one output, ready for images of any shape; threads may share it."""

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute.

        Args:
            images: (1, 1, ny, nx) float32. The first frame of another shape may wait until it is compiled.

        Returns:
            The first output, an array of the caller's own.

        Raises:
            BackendError: the runtime failed, or the graph was closed.
        """

    def close(self) -> None:
        """Give memory and threads back. A call of `run` after it raises `BackendError`."""


@runtime_checkable
class GraphBackend(Protocol):
    """A back end that also computes graphs from elsewhere; see :class:`Backend` for the rest of it."""

    def open_graph(self, graph: bytes, *, threads: int = 1) -> ForeignGraph:
        """Make a graph ready.

        Args:
            graph: content of an ONNX file that needs no other file and no operators but ONNX's own.
            threads: CPU threads that one call may use.

        Raises:
            BackendUnavailableError: this machine does not have the back end.
            BackendError: the runtime refuses the graph.
        """


@contextmanager
def opened(compiled: CompiledEnsemble) -> Iterator[CompiledEnsemble]:
    """Close at the end."""
    try:
        yield compiled
    finally:
        compiled.close()
