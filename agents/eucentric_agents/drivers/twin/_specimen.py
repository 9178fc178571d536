"""What lies under the beam: something that drifts, gathers dose and can be looked at."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eucentric_models.image_formation import ImagingConditions, SimulatedFrame
from eucentric_models.view import View

__all__ = ["Sight", "Specimen"]


class Sight(Protocol):
    """A specimen at one moment; may be looked at while the specimen itself changes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the truth."""
        ...

    def frame(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator, view: View
    ) -> SimulatedFrame:
        """A scanned frame and its truth."""
        ...

    def share(self, conditions: ImagingConditions, shape: tuple[int, int], view: View) -> NDArray[np.float32]:
        """Noise-free share of the beam that is scattered on the annular detector, (ny, nx) float32."""
        ...


class Specimen(Protocol):
    """A drifting specimen. Not thread-safe; the twin holds its lock around it."""

    @property
    def sight(self) -> Sight:
        """The specimen as it is now."""
        ...

    @property
    def drift_m(self) -> tuple[float, float]:
        """How far (y, x) the specimen has moved relative to its stage."""
        ...

    def wait(self, duration_s: float) -> None:
        """Let the specimen drift."""
        ...

    def fluence_e_per_m2(self, view: View, half_size_m: tuple[float, float]) -> float:
        """Mean electron fluence that a field has received."""
        ...

    def expose(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> int:
        """Irradiate a field and return how many atoms were ejected from it."""
        ...
