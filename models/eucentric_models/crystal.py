"""Two-dimensional crystals: atomic columns, their scattering weights and their point defects.

Coordinates are ``[y, x]`` in metres, centred on the middle of the crystal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .material import VACANCY, Material, scattering_weight

_Array = TypeVar("_Array", bound=NDArray[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedColumns:
    """Columns of atoms along the beam: all that image formation needs to know of a specimen.

    Attributes:
        positions_m: (n, 2) float64, ``[y, x]`` relative to the centre.
        weight: (n,) float32, sum of ``Z**1.7`` over the atoms of the column.
        class_id: (n,) int8, index into the class names of the material.
    """

    positions_m: NDArray[np.float64]
    weight: NDArray[np.float32]
    class_id: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.weight)

    def rows_within(
        self, centre_m: tuple[float, float], half_size_m: tuple[float, float]
    ) -> NDArray[np.intp]:
        """Indices of the columns inside a rectangle, edges included."""
        y, x = self.positions_m[:, 0], self.positions_m[:, 1]
        inside = (np.abs(y - centre_m[0]) <= half_size_m[0]) & (np.abs(x - centre_m[1]) <= half_size_m[1])
        return np.flatnonzero(inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crystal(ProjectedColumns):
    """Atomic columns of one finite crystal; the weights are those of the atoms still present.

    Attributes:
        material: what it is made of.
        atom_weight: (n,) float32, ``Z**1.7`` of one atom of the column.
        extent_m: height and width of the rectangle that is filled.
        rotation_rad: in-plane rotation of the lattice.
    """

    material: Material
    atom_weight: NDArray[np.float32]
    extent_m: tuple[float, float]
    rotation_rad: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the class id."""
        return self.material.classes

    def without_atoms(self, rows: NDArray[np.integer]) -> Crystal:
        """Copy in which each listed column has lost one atom and counts as a vacancy.

        A column listed several times loses as many atoms; an empty one stays empty.
        """
        lost = np.bincount(rows, minlength=len(self)).astype(np.float32)
        weight = np.maximum(self.weight - lost * self.atom_weight, 0).astype(np.float32)
        weight[weight < 0.5 * self.atom_weight] = 0
        class_id = np.where(lost > 0, self.classes.index(VACANCY), self.class_id).astype(np.int8)
        return replace(self, weight=_read_only(weight), class_id=_read_only(class_id))


def build_crystal(
    material: Material,
    extent_m: tuple[float, float],
    rng: np.random.Generator,
    *,
    rotation_rad: float | None = None,
    vacancy_fraction: float = 0.03,
    divacancy_share: float = 0.25,
    dopant_fraction: float = 0.05,
) -> Crystal:
    """Grow a crystal over a rectangle and give it point defects.

    Args:
        material: what to grow.
        extent_m: height and width to fill.
        rng: source of the rotation and of the defects.
        rotation_rad: in-plane rotation; drawn uniformly when None.
        vacancy_fraction: share of the vacancy host's columns that lose an atom, in [0, 1].
        divacancy_share: share of those that lose a second one, in [0, 1].  The second atom is of the same
            column where it holds two atoms, else of a nearest neighbour.
        dopant_fraction: share of the dopant host's columns that are replaced, in [0, 1].

    Raises:
        ValueError: an extent or a share is out of bounds.
    """
    if not all(0 < side <= 1e-5 for side in extent_m):
        raise ValueError(f"extent_m must be within (0, 1e-5] m, got {extent_m}")
    for share in (vacancy_fraction, divacancy_share, dopant_fraction):
        if not 0 <= share <= 1:
            raise ValueError(f"shares must be within [0, 1], got {share}")
    rotation = float(rng.uniform(0, material.symmetry_rad)) if rotation_rad is None else rotation_rad
    positions, site = _lattice(material, extent_m, rotation)
    names = [s.species for s in material.sites]
    atom_weight = np.array([s.atom_weight for s in material.sites])[site]
    atoms = np.array([s.atoms for s in material.sites])[site]
    class_id = np.array([material.classes.index(name) for name in names])[site]

    if material.dopant_host is not None:
        host = np.flatnonzero(class_id == material.classes.index(material.dopant_host))
        doped = host[rng.random(len(host)) < dopant_fraction]
        atom_weight[doped] = scattering_weight(material.dopant_atomic_number)
        class_id[doped] = material.classes.index("dopant")
    crystal = Crystal(
        material=material,
        positions_m=_read_only(positions),
        weight=_read_only((atoms * atom_weight).astype(np.float32)),
        atom_weight=_read_only(atom_weight.astype(np.float32)),
        class_id=_read_only(class_id.astype(np.int8)),
        extent_m=extent_m,
        rotation_rad=rotation,
    )
    host = np.flatnonzero(class_id == material.classes.index(material.vacancy_host))
    first = host[rng.random(len(host)) < vacancy_fraction]
    second = first[rng.random(len(first)) < divacancy_share]
    second = np.where(atoms[second] > 1, second, _nearest_neighbours(positions, second))
    return crystal.without_atoms(np.concatenate([first, second]))


def _lattice(
    material: Material, extent_m: tuple[float, float], rotation_rad: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    vectors = material.vectors_m
    reach = int(np.ceil(np.hypot(*extent_m) / material.lattice_constant_m)) + 2
    index = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(index, index, indexing="ij"), axis=-1).reshape(-1, 2)
    basis = np.array([s.fractional for s in material.sites])
    fractional = (cells[:, None, :] + basis[None, :, :]).reshape(-1, 2)
    c, s = np.cos(rotation_rad), np.sin(rotation_rad)
    positions = fractional @ vectors @ np.array([[c, s], [-s, c]])
    inside = np.all(np.abs(positions) <= np.asarray(extent_m) / 2, axis=1)
    site = np.tile(np.arange(len(basis)), len(cells))
    return positions[inside], site[inside]


def _nearest_neighbours(positions: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    # Neighbours are looked for in a strip around the atom, widened until none outside can be nearer.
    by_y = np.argsort(positions[:, 0])
    y_m = positions[by_y, 0]
    start_m = max(float(np.ptp(y_m)) / 100, np.finfo(float).tiny)
    nearest = np.empty_like(rows)
    for i, row in enumerate(rows):
        reach_m = start_m
        while True:
            first, last = np.searchsorted(y_m, positions[row, 0] + np.array([-reach_m, reach_m]))
            near = np.sort(by_y[first:last])
            near = near[near != row]
            distance = np.sum((positions[near] - positions[row]) ** 2, axis=1)
            if len(near) and (np.min(distance) <= reach_m**2 or len(near) == len(positions) - 1):
                nearest[i] = near[int(np.argmin(distance))]
                break
            reach_m *= 2
    return nearest


def _read_only(array: _Array) -> _Array:
    array.setflags(write=False)
    return array
