"""The seam between a model and whoever applies it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ..result_columns import Column
from ._description import ModelDescription

__all__ = ["Engine", "EngineModel", "EngineResult"]


class EngineResult(Protocol):
    """What a model says about one input."""

    @property
    def drift_score(self) -> float | None:
        """Below 1 the input is like what the model was trained on; None if the model cannot tell."""

    @property
    def unsure(self) -> tuple[str, ...]:
        """What the model is unsure of, in sentences; empty if of nothing."""

    def columns(self, pixel_size_m: float | None) -> dict[str, Column]:
        """The result as a table, with units in the names of the columns.

        Args:
            pixel_size_m: adds columns in nanometres if it is known.
        """

    def summary(self) -> dict[str, JsonValue]:
        """Counts and means, plain JSON, with units in the names."""


class EngineModel(Protocol):
    """An open model. It is never changed by use, and threads may share it."""

    @property
    def description(self) -> ModelDescription:
        """What was opened."""

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> EngineResult:
        """Analyse one input.

        Args:
            image: raw values, finite and real, of the shape that the engine takes.
            pixel_size_m: calibration; None where there is none.

        Raises:
            ModelsError: the input cannot be analysed, or the model needs a calibration.
        """

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """The bare answer to a golden input, which must be the same wherever the model is opened.

        Raises:
            ModelsError: the input does not fit.
        """


@runtime_checkable
class Engine(Protocol):
    """Opens models of one kind. Registered by an entry point of its name in the group `eucentric.engines`."""

    @property
    def name(self) -> str:
        """As bundles name it."""

    @property
    def takes(self) -> Literal["image", "spectra"]:
        """`image`: (ny, nx); `spectra`: (n_spectra, n_channels), one spectrum after another in time."""

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> EngineModel:
        """Open a model whose files have been verified; nothing is unpickled.

        Args:
            folder: where its files lie.
            description: of the model.
            device: torch device.

        Raises:
            ModelsError: files and description do not fit each other.
        """
