"""The crystal under the beam: where it has drifted to, what dose it has seen, which atoms it has lost."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from eucentric_models.crystal import Crystal, build_crystal
from eucentric_models.image_formation import ImagingConditions, SimulatedFrame, expected_signal, form_frame
from eucentric_models.material import VACANCY, material_named
from eucentric_models.view import View

from ._options import TwinOptions

__all__ = ["Lattice"]


@dataclass(frozen=True, slots=True)
class _CrystalSight:
    crystal: Crystal

    @property
    def classes(self) -> tuple[str, ...]:
        return self.crystal.classes

    def frame(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator, view: View
    ) -> SimulatedFrame:
        columns, centre_m = view.projected(self.crystal)
        return form_frame(columns, conditions, shape, rng, centre_m=centre_m)

    def share(self, conditions: ImagingConditions, shape: tuple[int, int], view: View) -> NDArray[np.float32]:
        columns, centre_m = view.projected(self.crystal)
        return expected_signal(columns, conditions, shape, centre_m=centre_m)


class Lattice:
    """A drifting, damageable crystal; a `Specimen`.

    Args:
        options: material, size, defects, drift and damage.
        rng: source of the crystal and its defects.
        damage_rng: decides every atom's fate under the beam.
    """

    def __init__(
        self, options: TwinOptions, rng: np.random.Generator, damage_rng: np.random.Generator
    ) -> None:
        self._options = options.specimen
        self._damage_rng = damage_rng
        self._crystal = build_crystal(
            material_named(options.material),
            (options.extent_m, options.extent_m),
            rng,
            rotation_rad=self._options.rotation_rad,
            vacancy_fraction=self._options.vacancy_fraction,
            divacancy_share=self._options.divacancy_share,
            dopant_fraction=self._options.dopant_fraction,
        )
        self._fluence_e_per_m2 = np.zeros(len(self._crystal))
        self._drift_m = np.zeros(2)

    @property
    def sight(self) -> _CrystalSight:
        """The crystal as it is now; immutable, so a frame may be formed of it while damage goes on."""
        return _CrystalSight(self._crystal)

    @property
    def drift_m(self) -> tuple[float, float]:
        """How far (y, x) the specimen has moved relative to its stage."""
        return float(self._drift_m[0]), float(self._drift_m[1])

    def wait(self, duration_s: float) -> None:
        """Let the specimen drift."""
        self._drift_m += np.asarray(self._options.drift_m_per_s) * duration_s

    def fluence_e_per_m2(self, view: View, half_size_m: tuple[float, float]) -> float:
        """Mean electron fluence that the columns of a field have received; 0 where there are none."""
        rows = view.rows_within(self._crystal, half_size_m)
        return float(self._fluence_e_per_m2[rows].mean()) if len(rows) else 0.0

    def expose(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> int:
        """Irradiate a field and return how many atoms were ejected from it."""
        crystal = self._crystal
        rows = view.rows_within(crystal, half_size_m)
        self._fluence_e_per_m2[rows] += fluence_e_per_m2
        chance = 1.0 - exp(-self._options.knock_on_cross_section_m2 * fluence_e_per_m2)
        if chance <= 0 or not len(rows):
            return 0
        names = crystal.classes
        fragile = np.isin(
            crystal.class_id[rows], [names.index(crystal.material.vacancy_host), names.index(VACANCY)]
        )
        rows = rows[fragile]
        atoms = np.rint(crystal.weight[rows] / crystal.atom_weight[rows]).astype(np.int64)
        ejected = np.repeat(rows, self._damage_rng.binomial(atoms, chance))
        if len(ejected):
            self._crystal = crystal.without_atoms(ejected)
        return len(ejected)
