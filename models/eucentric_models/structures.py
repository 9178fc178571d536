"""Any crystal structure that ASE reads or builds, as something to train a first model on.

ASE (LGPL) comes with the extra ``structures``; nothing of it is imported here: ``Atoms`` are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crystal import ProjectedColumns
from .image_formation import ImagingConditions, SimulatedFrame, form_frame
from .material import VACANCY, scattering_weight
from .projected_lattice import ProjectedLattice

_ANGSTROM_M = 1e-10
_SAME_COLUMN_M = 3e-11
_FAINT_SHARE = 0.15
_MOST_ATOMS = 4000
_IN_PLANE = 1e-3


class AtomsLike(Protocol):
    """What is used of ``ase.Atoms``: a periodic cell in angstrom."""

    @property
    def cell(self) -> ArrayLike:
        """(3, 3), one vector ``x, y, z`` a row."""
        ...

    @property
    def positions(self) -> NDArray[np.float64]:
        """(n, 3) ``x, y, z``."""
        ...

    @property
    def numbers(self) -> NDArray[np.integer]:
        """(n,) atomic numbers."""
        ...

    def get_chemical_symbols(self) -> list[str]:
        """One symbol for each atom."""
        ...


@dataclass(frozen=True, slots=True)
class StructureMaterial:
    """Freshly cut pieces of a crystal structure seen along z; a :class:`eucentric_models.StartMaterial`.

    Attributes:
        name: of the material.
        classes: one for each kind of column, named by its elements from the heaviest, strong ones first; the
            last is ``vacancy``.
        detectable_classes: those that are strong enough beside the strongest to be seen.
        lattice: projected cell; its strengths count the columns.
        weight: (k,) ``Z**1.7`` summed over each column of the cell.
        class_id: (k,) class of each column of the cell.
        vacancy_fraction: share of the columns that lose half of their atoms, in [0, 1].
    """

    name: str
    classes: tuple[str, ...]
    detectable_classes: tuple[str, ...]
    lattice: ProjectedLattice
    weight: NDArray[np.float64]
    class_id: NDArray[np.int8]
    vacancy_fraction: float = 0.0

    def columns(self, extent_m: tuple[float, float], rng: np.random.Generator) -> ProjectedColumns:
        """A piece of the given height and width, turned and shifted at random, with vacancies."""
        positions, place = self.lattice.fill(extent_m, rng.uniform(0, 2 * np.pi), rng.random(2))
        site = place.astype(int)
        weight, class_id = self.weight[site].copy(), self.class_id[site].copy()
        hurt = rng.random(len(site)) < self.vacancy_fraction
        weight[hurt] /= 2
        class_id[hurt] = len(self.classes) - 1
        return ProjectedColumns(
            positions_m=positions, weight=weight.astype(np.float32), class_id=class_id.astype(np.int8)
        )

    def simulate(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator
    ) -> SimulatedFrame:
        """One labelled (ny, nx) frame of a fresh piece."""
        extent_m = (shape[0] * conditions.pixel_size_m + 1e-9, shape[1] * conditions.pixel_size_m + 1e-9)
        return form_frame(self.columns(extent_m, rng), conditions, shape, rng)


def material_from_atoms(
    name: str, atoms: AtomsLike, *, thickness_cells: int = 1, vacancy_fraction: float = 0.0
) -> StructureMaterial:
    """A structure as a start material.

    Args:
        name: of the material.
        atoms: a periodic cell, ``ase.Atoms``, its first two vectors in the plane of the image and the beam
            along z; ``ase.build.surface`` turns a crystal so.
        thickness_cells: cells on top of each other along the beam.
        vacancy_fraction: share of the columns that lose half of their atoms, in [0, 1].

    Raises:
        ValueError: the first two vectors leave the plane or span no area, there are no or more than 4000
            atoms, or an argument is out of bounds.
    """
    cell = np.asarray(atoms.cell, np.float64) * _ANGSTROM_M
    numbers = np.asarray(atoms.numbers)
    if not 1 <= len(numbers) <= _MOST_ATOMS or thickness_cells < 1 or not 0 <= vacancy_fraction <= 1:
        raise ValueError(
            f"{len(numbers)} atoms, {thickness_cells} cells or {vacancy_fraction} is out of bounds"
        )
    vectors = cell[:2, [1, 0]]
    area = abs(float(np.linalg.det(vectors)))
    if np.abs(cell[:2, 2]).max() > _IN_PLANE * np.abs(cell[:2]).max() or area < 1e-22:
        raise ValueError("the first two vectors of the cell must span the plane of the image, z is the beam")
    places = np.asarray(atoms.positions, np.float64)[:, [1, 0]] * _ANGSTROM_M
    fractional = (places @ np.linalg.inv(vectors)) % 1.0
    column = _columns_of(fractional, vectors)
    kinds: list[str] = []
    weights = np.zeros(column.max() + 1)
    basis = np.zeros((column.max() + 1, 2))
    symbols = atoms.get_chemical_symbols()
    for index in range(len(weights)):
        rows = np.flatnonzero(column == index)
        weights[index] = thickness_cells * sum(scattering_weight(int(numbers[row])) for row in rows)
        apart = (fractional[rows] - fractional[rows[0]] + 0.5) % 1.0 - 0.5
        basis[index] = (fractional[rows[0]] + apart.mean(axis=0)) % 1.0
        heaviest_first = sorted({(-int(numbers[row]), symbols[row]) for row in rows})
        kinds.append("-".join(symbol for _, symbol in heaviest_first))
    strongest = {kind: max(w for k, w in zip(kinds, weights, strict=True) if k == kind) for kind in kinds}
    ordered = tuple(sorted(strongest, key=lambda kind: -strongest[kind]))
    seen = tuple(kind for kind in ordered if strongest[kind] >= _FAINT_SHARE * weights.max())
    return StructureMaterial(
        name=name,
        classes=(*ordered, VACANCY),
        detectable_classes=seen,
        lattice=ProjectedLattice(vectors, basis, np.arange(len(weights), dtype=np.float64)),
        weight=weights,
        class_id=np.array([ordered.index(kind) for kind in kinds], np.int8),
        vacancy_fraction=vacancy_fraction,
    )


def _columns_of(fractional: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.intp]:
    """Number of the column, (n,), of atoms that stand behind each other."""
    column = np.full(len(fractional), -1)
    count = 0
    for row in range(len(fractional)):
        if column[row] >= 0:
            continue
        apart = (fractional - fractional[row] + 0.5) % 1.0 - 0.5
        behind = np.hypot(*(apart @ vectors).T) < _SAME_COLUMN_M
        column[behind & (column < 0)] = count
        count += 1
    return column
