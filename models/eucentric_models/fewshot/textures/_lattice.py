"""Atomic columns of any projected lattice, with disorder and vacancies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...projected_lattice import ProjectedLattice
from ._field import Field, log_uniform, low_passed, standardised

_NOMINAL_PIXEL_M = 10e-12
"""Lattices are kept in metres; a texture only knows pixels."""

_PERIOD_PX = (4.0, 36.0)


@dataclass(frozen=True, slots=True)
class LatticeField:
    """A lattice with up to four unequal columns in its cell.

    Attributes:
        lattice: vectors, basis and strengths; 10 pm of it are a pixel.
        rotation_rad: in the plane.
        width_px: standard deviation of a column's image.
        disorder: displacement of columns, standard deviation over the shorter lattice vector.
        vacancies: share of columns that are missing.
    """

    lattice: ProjectedLattice
    rotation_rad: float
    width_px: float
    disorder: float
    vacancies: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> LatticeField:
        """Any lattice whose period a chip of 64 pixels resolves and holds twice."""
        period_px = log_uniform(rng, *_PERIOD_PX)
        system = rng.integers(4)
        ratio = 1.0 if system < 2 else float(rng.uniform(1.0, 2.2))
        angle_rad = (np.pi / 3, np.pi / 2, np.pi / 2, float(rng.uniform(1.1, 1.55)))[system]
        vectors = np.array([[1.0, 0.0], [ratio * np.cos(angle_rad), ratio * np.sin(angle_rad)]])
        columns = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.2, 0.1]))
        basis = np.vstack([np.zeros((1, 2)), rng.choice(_SITES, columns - 1, replace=False)])
        basis[1:] += rng.normal(0, 0.04, (columns - 1, 2))
        strength = np.concatenate([[1.0], np.exp(rng.uniform(np.log(0.15), 0, columns - 1))])
        return cls(
            ProjectedLattice(vectors * period_px * _NOMINAL_PIXEL_M, basis, strength),
            rotation_rad=float(rng.uniform(0, np.pi)),
            width_px=max(0.7, period_px * float(rng.uniform(0.08, 0.28))),
            disorder=float(rng.choice([0.0, 0.02, 0.06])),
            vacancies=float(rng.choice([0.0, 0.0, 0.05, 0.15])),
        )

    @property
    def period_px(self) -> float:
        """Length of the first lattice vector."""
        return float(np.hypot(*self.lattice.vectors_m[0])) / _NOMINAL_PIXEL_M

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        margin_px = 2 * self.period_px
        extent_m = tuple((side + 2 * margin_px) * _NOMINAL_PIXEL_M for side in shape_px)
        positions_m, strength = self.lattice.fill(
            (extent_m[0], extent_m[1]), self.rotation_rad, rng.uniform(size=2)
        )
        positions = positions_m / _NOMINAL_PIXEL_M + np.asarray(shape_px) / 2
        positions += rng.normal(0, self.disorder * self.period_px, positions.shape)
        kept = rng.random(len(positions)) >= self.vacancies
        return standardised(low_passed(_splatted(positions[kept], strength[kept], shape_px), self.width_px))

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        stretch = np.eye(2) + rng.normal(0, 0.012, (2, 2))
        return replace(
            self,
            lattice=replace(self.lattice, vectors_m=self.lattice.vectors_m @ stretch),
            rotation_rad=self.rotation_rad + float(rng.normal(0, 0.02)),
            width_px=self.width_px * float(rng.uniform(0.94, 1.06)),
        )

    def sibling(self, rng: np.random.Generator) -> Field:
        """Another motif on the same lattice, or the same motif turned, stretched or disordered."""
        lattice = self.lattice
        kind = rng.integers(6)
        if kind == 0:
            return replace(
                self, rotation_rad=self.rotation_rad + float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.8))
            )
        if kind == 1:
            factor = float(rng.choice([rng.uniform(0.65, 0.85), rng.uniform(1.18, 1.5)]))
            return replace(self, lattice=replace(lattice, vectors_m=lattice.vectors_m * factor))
        if kind == 2:
            return replace(self, disorder=self.disorder + float(rng.uniform(0.08, 0.18)))
        if kind == 3 and len(lattice.strength) > 1:
            strength = np.concatenate(
                [[1.0], rng.permutation(np.exp(rng.uniform(np.log(0.1), 0, len(lattice.strength) - 1)))]
            )
            return replace(self, lattice=replace(lattice, strength=strength))
        if kind == 4:
            return replace(self, width_px=self.width_px * float(rng.uniform(1.35, 1.8)))
        site = rng.choice(_SITES, 1) + rng.normal(0, 0.04, (1, 2))
        return replace(
            self,
            lattice=ProjectedLattice(
                lattice.vectors_m,
                np.vstack([lattice.basis[:1], site]),
                np.array([1.0, float(rng.uniform(0.25, 1.0))]),
            ),
        )


_SITES = np.array(
    [
        (0.5, 0.5), (0.5, 0.0), (0.0, 0.5), (1 / 3, 1 / 3), (2 / 3, 2 / 3),
        (0.25, 0.0), (0.0, 0.25), (0.25, 0.25), (0.3, 0.0), (0.5, 0.2),
    ]
)  # fmt: skip
"""Fractional coordinates of second columns: centred cells, honeycombs, dumbbells, superstructures."""


def _splatted(
    positions_px: NDArray[np.floating], strength: NDArray[np.floating], shape_px: tuple[int, int]
) -> NDArray[np.float64]:
    """Point sources on the pixel grid, each shared by its four neighbours."""
    ny, nx = shape_px
    base = np.floor(positions_px).astype(np.int64)
    rest = positions_px - base
    image = np.zeros(ny * nx)
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = base[:, 0] + dy, base[:, 1] + dx
            share = np.abs(1 - dy - rest[:, 0]) * np.abs(1 - dx - rest[:, 1]) * strength
            inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
            image += np.bincount(y[inside] * nx + x[inside], share[inside], minlength=ny * nx)
    return image.reshape(shape_px)
