"""Materials: what stands in the primitive cell of a crystal, seen along the beam.

The scattering weight of a column is the sum of ``Z**1.7`` over its atoms, the usual high-angle annular
dark-field contrast (Krivanek et al., Nature 464, 571, 2010, find exponents of 1.6 to 1.7 for single atoms).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import UnknownMaterialError

CONTRAST_EXPONENT = 1.7
VACANCY = "vacancy"


def scattering_weight(atomic_number: int) -> float:
    """``Z**1.7``, the weight of one atom."""
    return float(atomic_number) ** CONTRAST_EXPONENT


@dataclass(frozen=True, slots=True)
class Site:
    """One column of the primitive cell.

    Attributes:
        fractional: position along the two lattice vectors, each in [0, 1).
        atomic_number: element in the column.
        atoms: atoms of that element on top of each other.
        species: class name of the undamaged column.
        companions: elements that accompany each of those atoms in the column.
    """

    fractional: tuple[float, float]
    atomic_number: int
    atoms: int
    species: str
    companions: tuple[int, ...] = ()

    @property
    def atom_weight(self) -> float:
        """Scattering weight of one atom with its companions."""
        return sum(map(scattering_weight, (self.atomic_number, *self.companions)))

    @property
    def weight(self) -> float:
        """Scattering weight of the undamaged column."""
        return self.atoms * self.atom_weight


@dataclass(frozen=True, slots=True)
class Material:
    """A crystal on a zone axis and the point defects it may carry.

    Attributes:
        name: key in :data:`MATERIALS`.
        lattice_constant_m: in-plane lattice constant.
        sites: columns of the primitive cell.
        vacancy_host: species that loses atoms.
        classes: class names; the index is the class id, ``vacancy`` is always the last.
        dopant_host: species that a dopant replaces; None when there is no dopant.
        dopant_atomic_number: element of the dopant.
        faint: species, last but for ``vacancy``, too weak to be seen beside the others: they are in frames
            and neither learned nor scored.
        system: angle of the two lattice vectors, 60 or 90 degrees.
    """

    name: str
    lattice_constant_m: float
    sites: tuple[Site, ...]
    vacancy_host: str
    classes: tuple[str, ...]
    dopant_host: str | None = None
    dopant_atomic_number: int = 0
    faint: tuple[str, ...] = ()
    system: Literal["hexagonal", "square"] = "hexagonal"

    @property
    def detectable_classes(self) -> tuple[str, ...]:
        """Class names that a network is trained on: all but faint ones and ``vacancy``, ids unchanged."""
        return tuple(name for name in self.classes if name not in (*self.faint, VACANCY))

    @property
    def symmetry_rad(self) -> float:
        """Rotations by more than this repeat themselves."""
        return float(np.pi / 3 if self.system == "hexagonal" else np.pi / 2)

    @property
    def vectors_m(self) -> NDArray[np.float64]:
        """(2, 2), one lattice vector ``[y, x]`` per row."""
        second = [np.sqrt(3) / 2, 0.5] if self.system == "hexagonal" else [1.0, 0.0]
        return self.lattice_constant_m * np.array([[0.0, 1.0], second])


MOS2 = Material(
    name="mos2",
    # 0.3161 nm: Wakabayashi, Smith, Nicklow, Phys. Rev. B 12, 659 (1975).
    lattice_constant_m=3.161e-10,
    sites=(Site((0.0, 0.0), 42, 1, "metal"), Site((1 / 3, 1 / 3), 16, 2, "chalcogen")),
    dopant_host="metal",
    dopant_atomic_number=74,
    vacancy_host="chalcogen",
    classes=("metal", "chalcogen", "dopant", VACANCY),
)
GRAPHENE = Material(
    name="graphene",
    # 0.246 nm: Castro Neto et al., Rev. Mod. Phys. 81, 109 (2009).
    lattice_constant_m=2.46e-10,
    sites=(Site((0.0, 0.0), 6, 1, "carbon"), Site((1 / 3, 1 / 3), 6, 1, "carbon")),
    dopant_host="carbon",
    dopant_atomic_number=14,
    vacancy_host="carbon",
    classes=("carbon", "dopant", VACANCY),
)
SRTIO3 = Material(
    name="srtio3",
    # 0.3905 nm: Okazaki and Kawaminami, Mater. Res. Bull. 8, 545 (1973). Along [001], ten cells thick.
    lattice_constant_m=3.905e-10,
    sites=(
        Site((0.0, 0.0), 38, 10, "strontium"),
        Site((0.5, 0.5), 22, 10, "titanium", companions=(8,)),
        Site((0.5, 0.0), 8, 10, "oxygen"),
        Site((0.0, 0.5), 8, 10, "oxygen"),
    ),
    vacancy_host="strontium",
    classes=("strontium", "titanium", "oxygen", VACANCY),
    faint=("oxygen",),
    system="square",
)
MATERIALS: Mapping[str, Material] = MappingProxyType({m.name: m for m in (MOS2, GRAPHENE, SRTIO3)})


def material_named(name: str) -> Material:
    """Look a material up by name.

    Raises:
        UnknownMaterialError: there is no such material.
    """
    try:
        return MATERIALS[name]
    except KeyError:
        raise UnknownMaterialError(
            f"There is no material named {name!r}.",
            safe="nothing was built.",
            next_step=f"choose one of {', '.join(sorted(MATERIALS))}.",
        ) from None
