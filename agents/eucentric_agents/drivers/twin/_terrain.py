"""A landscape under the beam, and a map of the dose that each place of it has received."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric_models.image_formation import ImagingConditions, SimulatedFrame
from eucentric_models.landscape import LANDSCAPE_CLASSES, Landscape
from eucentric_models.landscape_image import form_landscape_frame, landscape_signal
from eucentric_models.view import View

from ._options import TwinOptions

__all__ = ["DoseMap", "Terrain"]

_MAX_CELLS = 1024
_SMALLEST_CELL_M = 5e-10
_FEW_CELLS = 16


class DoseMap:
    """Electron fluence over a square in equal cells; electrons are kept whatever the size of a field.

    Args:
        extent_m: length of the square's edge. Cells are a 1024th of it, but not under half a nanometre.
    """

    def __init__(self, extent_m: float) -> None:
        self._cells = int(np.clip(np.ceil(extent_m / _SMALLEST_CELL_M), 1, _MAX_CELLS))
        self._cell_m = extent_m / self._cells
        self._extent_m = extent_m
        self._fluence = np.zeros((self._cells, self._cells), np.float32)

    def add(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> None:
        """Irradiate a field."""
        place, cover = self._cover(view, half_size_m)
        self._fluence[place] += np.float32(fluence_e_per_m2) * cover

    def mean(self, view: View, half_size_m: tuple[float, float]) -> float:
        """Mean fluence of a field; what lies beyond the edge has received none."""
        place, cover = self._cover(view, half_size_m)
        cells = 4 * half_size_m[0] * half_size_m[1] / np.prod(view.foreshortening) / self._cell_m**2
        return float((self._fluence[place] * cover).sum() / cells)

    def _cover(
        self, view: View, half_size_m: tuple[float, float]
    ) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
        """The cells that a field touches and the share of each that it covers."""
        reach = view.reach_m(half_size_m)
        ranges, shares, centres = [], [], []
        for centre, half in zip(view.centre_m, reach, strict=True):
            low, high = ((centre + sign * half + self._extent_m / 2) / self._cell_m for sign in (-1, 1))
            first = int(np.clip(np.floor(low), 0, self._cells))
            last = int(np.clip(np.ceil(high), first, self._cells))
            edges = np.arange(first, last + 1)
            shares.append(np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, 1))
            centres.append((edges[:-1] + 0.5) * self._cell_m - self._extent_m / 2 - centre)
            ranges.append(slice(first, last))
        cover = np.multiply.outer(shares[0], shares[1])
        if view.rotation_rad != 0 and cover.size:
            cover = self._turned(view, half_size_m, cover, centres)
        return (ranges[0], ranges[1]), cover.astype(np.float32)

    def _turned(
        self,
        view: View,
        half_size_m: tuple[float, float],
        cover: NDArray[np.float64],
        centres_m: list[NDArray[np.floating]],
    ) -> NDArray[np.float64]:
        """What a turned field covers of the rectangle around it, judged by the middle of each cell."""
        offset = np.stack(np.meshgrid(*centres_m, indexing="ij"), axis=-1) @ view.to_field.T
        inside = np.all(np.abs(offset) <= np.asarray(half_size_m), axis=-1)
        if inside.sum() > _FEW_CELLS:
            return cover * inside
        reach = view.reach_m(half_size_m)
        # Too few cells to draw a slanted edge: the rectangle gets the field's electrons.
        share = half_size_m[0] * half_size_m[1] / np.prod(view.foreshortening) / (reach[0] * reach[1])
        return cover * share


@dataclass(frozen=True, slots=True)
class _TerrainSight:
    landscape: Landscape

    @property
    def classes(self) -> tuple[str, ...]:
        return LANDSCAPE_CLASSES

    def frame(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator, view: View
    ) -> SimulatedFrame:
        return form_landscape_frame(self.landscape, conditions, shape, rng, view=view)

    def share(self, conditions: ImagingConditions, shape: tuple[int, int], view: View) -> NDArray[np.float32]:
        return landscape_signal(self.landscape, conditions.pixel_size_m, shape, view)[0]


class Terrain:
    """A drifting landscape that the beam does not damage; a `Specimen`.

    Args:
        options: recipe, extent and drift.
        rng: source of the landscape.
    """

    def __init__(self, options: TwinOptions, rng: np.random.Generator) -> None:
        self._drift_m_per_s = np.asarray(options.specimen.drift_m_per_s)
        self._landscape = Landscape(options.landscape, options.extent_m, int(rng.integers(2**32)))
        self._dose = DoseMap(options.extent_m)
        self._drift_m = np.zeros(2)

    @property
    def sight(self) -> _TerrainSight:
        """The landscape, which never changes."""
        return _TerrainSight(self._landscape)

    @property
    def drift_m(self) -> tuple[float, float]:
        """How far (y, x) the specimen has moved relative to its stage."""
        return float(self._drift_m[0]), float(self._drift_m[1])

    def wait(self, duration_s: float) -> None:
        """Let the specimen drift."""
        self._drift_m += self._drift_m_per_s * duration_s

    def fluence_e_per_m2(self, view: View, half_size_m: tuple[float, float]) -> float:
        """Mean electron fluence that a field has received, as far as the map resolves it."""
        return self._dose.mean(view, half_size_m)

    def expose(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> int:
        """Irradiate a field; gold and carbon lose nothing."""
        self._dose.add(view, half_size_m, fluence_e_per_m2)
        return 0
