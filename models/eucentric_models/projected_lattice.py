"""Projected lattices of crystals that nobody has named: what a zone axis may look like in the microscope.

Coordinates are ``[y, x]`` in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TWO_SITES_SHARE = 0.65
_TRIES = 100


@dataclass(frozen=True, slots=True)
class ProjectedLattice:
    """A two-dimensional lattice with one or two columns in its cell.

    Attributes:
        vectors_m: (2, 2), one lattice vector per row.
        basis: (k, 2) fractional coordinates of the columns.
        strength: (k,) scattering of each column relative to the strongest, in (0, 1].
    """

    vectors_m: NDArray[np.float64]
    basis: NDArray[np.float64]
    strength: NDArray[np.float64]

    @property
    def shortest_distance_m(self) -> float:
        """Distance of the closest two columns."""
        shifts = np.array([(i, j) for i in range(-2, 3) for j in range(-2, 3)], np.float64)
        offsets = (self.basis[:, None] - self.basis[None])[:, :, None] + shifts
        distance = np.hypot(*np.moveaxis(offsets @ self.vectors_m, -1, 0))
        return float(distance[distance > 1e-6 * np.abs(self.vectors_m).max()].min())

    def scaled_to(self, shortest_distance_m: float) -> ProjectedLattice:
        """The same lattice, larger or smaller, with the given distance of its closest columns."""
        factor = shortest_distance_m / self.shortest_distance_m
        return ProjectedLattice(self.vectors_m * factor, self.basis, self.strength)

    def fill(
        self, extent_m: tuple[float, float], rotation_rad: float, origin: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Columns inside a rectangle around the origin of the coordinates.

        Args:
            extent_m: height and width.
            rotation_rad: in-plane rotation.
            origin: (2,) fractional coordinates of the lattice that lie in the middle.

        Returns:
            Positions (n, 2) and strengths (n,).
        """
        c, s = np.cos(rotation_rad), np.sin(rotation_rad)
        vectors = self.vectors_m @ np.array([[c, s], [-s, c]])
        corners = np.array([(y, x) for y in (-0.5, 0.5) for x in (-0.5, 0.5)]) * extent_m
        reach = np.ceil(np.abs(corners @ np.linalg.inv(vectors)).max(axis=0)).astype(int) + 2
        cells = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(
            -1, 1, 2
        )
        positions = ((cells + self.basis - origin) @ vectors).reshape(-1, 2)
        inside = np.all(np.abs(positions) <= np.asarray(extent_m) / 2, axis=1)
        return positions[inside], np.tile(self.strength, len(cells))[inside]


def draw_lattice(
    rng: np.random.Generator,
    *,
    shortest_distance_m: tuple[float, float],
    weakest: float,
) -> ProjectedLattice:
    """A hexagonal, square, rectangular or oblique lattice with one or two, unequal, columns per cell.

    Args:
        rng: source of chance.
        shortest_distance_m: range of the distance of the closest columns; no two are farther apart along a
            lattice vector than three times what is drawn.
        weakest: smallest relative strength of the second column, in (0, 1].
    """
    distance_m = float(np.exp(rng.uniform(*np.log(shortest_distance_m))))
    system = rng.choice(["hexagonal", "square", "rectangular", "oblique"], p=[0.25, 0.35, 0.25, 0.15])
    ratio = {"hexagonal": 1.0, "square": 1.0}.get(system, float(rng.uniform(1.05, 1.8)))
    angle = {"hexagonal": np.pi / 3, "oblique": float(rng.uniform(1.1, 1.5))}.get(system, np.pi / 2)
    vectors = np.array([[1.0, 0.0], [ratio * np.cos(angle), ratio * np.sin(angle)]])
    single = ProjectedLattice(vectors, np.zeros((1, 2)), np.ones(1))
    if rng.random() >= _TWO_SITES_SHARE:
        return single.scaled_to(distance_m)
    strength = np.array([1.0, np.exp(rng.uniform(np.log(weakest), 0))])
    for _ in range(_TRIES):
        basis = np.array([(0.0, 0.0), _second_site(str(system), rng)])
        lattice = ProjectedLattice(vectors, basis, strength)
        # A dumbbell whose halves nearly coincide would leave the rest of a huge cell empty.
        if lattice.shortest_distance_m > 0.4:
            return lattice.scaled_to(distance_m)
    return single.scaled_to(distance_m)


def _second_site(system: str, rng: np.random.Generator) -> tuple[float, float]:
    kind = rng.random()
    if system == "hexagonal" and kind < 0.7:
        return 1 / 3, 1 / 3
    if kind < 0.6:
        return 0.5, 0.5
    if kind < 0.75:
        return 0.5, 0.0
    return float(rng.uniform(0.25, 0.75)), float(rng.uniform(0.0, 0.75))
