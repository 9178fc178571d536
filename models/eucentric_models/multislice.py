"""Frames by multislice instead of the fast Z-contrast model: an offline option for training data, by abTEM.

The fast model takes what a column scatters as its weight alone. Multislice propagates the probe through the
crystal (Madsen and Susi, Open Research Europe 1, 24 (2021)), so channelling, the diffraction-limited probe
and the detector's angles are in it, at some ten milliseconds a probe position. A crystal is periodic: one
cell is computed once, and any number of frames are cut from it, turned and shifted, with the same detector
and the same truth as the fast model's. abTEM comes with the extra `multislice`; without it
`multislice_material` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from .crystal import ProjectedColumns
from .errors import ModelsError
from .image_formation import ImagingConditions, SimulatedFrame, blurred, detect, padding, truth_rows
from .structures import AtomsLike, StructureMaterial, material_from_atoms

__all__ = ["MultisliceError", "MultisliceMaterial", "MultisliceOptions", "multislice_material"]

_ANGSTROM_M = 1e-10


class MultisliceError(ModelsError):
    """abTEM is not installed, or the structure cannot be computed with it."""

    code = "models.multislice"


class MultisliceOptions(BaseModel):
    """What multislice needs to know beyond the imaging conditions.

    Attributes:
        high_tension_v: of the electrons.
        detector_inner_rad: inner angle of the annular detector.
        detector_outer_rad: outer angle.
        sampling_m: of the potential.
        scan_step_m: between probe positions; the image is interpolated between them.
        slice_m: thickness of a slice.
        probe_extent_m: smallest lateral size of the computed piece: the probe's tails must fit into it.
        phonon_configurations: frozen phonons to average over; 0 for atoms at rest.
        vibration_rms_m: rms displacement of an atom along each axis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    high_tension_v: float = Field(default=200e3, ge=20e3, le=1.2e6)
    detector_inner_rad: float = Field(default=70e-3, gt=0, le=0.3)
    detector_outer_rad: float = Field(default=150e-3, gt=0, le=0.4)
    sampling_m: float = Field(default=5e-12, ge=1e-12, le=3e-11)
    scan_step_m: float = Field(default=3e-11, ge=5e-12, le=1e-10)
    slice_m: float = Field(default=1e-10, ge=2e-11, le=1e-9)
    probe_extent_m: float = Field(default=1.2e-9, ge=5e-10, le=1e-8)
    phonon_configurations: int = Field(default=0, ge=0, le=200)
    vibration_rms_m: float = Field(default=8e-12, ge=0, le=5e-11)


@dataclass(frozen=True, slots=True)
class MultisliceMaterial:
    """Pieces of one computed cell; a :class:`eucentric_models.StartMaterial` like those of the fast model.

    Attributes:
        structure: the columns of the same cell, which are the truth.
        cell_share: (n, m) share of the beam on the detector over one cell, by fractions of its two vectors.
    """

    structure: StructureMaterial
    cell_share: NDArray[np.float32]

    @property
    def name(self) -> str:
        """Of the material."""
        return self.structure.name

    @property
    def classes(self) -> tuple[str, ...]:
        """See `StructureMaterial`."""
        return self.structure.classes

    @property
    def detectable_classes(self) -> tuple[str, ...]:
        """See `StructureMaterial`."""
        return self.structure.detectable_classes

    def simulate(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator
    ) -> SimulatedFrame:
        """One labelled (ny, nx) frame of a fresh piece.

        `conditions.probe_sigma_m` blurs as the finite source does: the diffraction-limited probe of the
        convergence angle and the defocus with which the cell was computed is in the cell already.
        """
        extent_m = (shape[0] * conditions.pixel_size_m + 1e-9, shape[1] * conditions.pixel_size_m + 1e-9)
        angle_rad, origin = rng.uniform(0, 2 * np.pi), rng.random(2)
        columns = self._columns(extent_m, angle_rad, origin)
        source = conditions.model_copy(update={"defocus_m": 0.0})
        margin, padded = padding(source, shape)
        y, x = (
            (np.arange(size) - margin - (side - 1) / 2) * conditions.pixel_size_m
            for size, side in zip(padded, shape, strict=True)
        )
        places_m = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
        c, s = np.cos(angle_rad), np.sin(angle_rad)
        # As `ProjectedLattice.fill` turns and shifts the columns.
        vectors_m = self.structure.lattice.vectors_m @ np.array([[c, s], [-s, c]])
        fraction = places_m @ np.linalg.inv(vectors_m) + origin
        grid = np.moveaxis(fraction % 1.0, -1, 0) * np.array(self.cell_share.shape)[:, None, None]
        sharp = ndimage.map_coordinates(self.cell_share, grid, order=3, mode="grid-wrap")
        signal = blurred(sharp.astype(np.float32), source, shape, margin)
        signal = np.maximum(signal + np.float32(conditions.background_fraction), 0)
        signal *= conditions.electrons_per_pixel * conditions.collection_efficiency
        return SimulatedFrame(
            detect(signal, conditions, rng), truth_rows(columns, conditions.pixel_size_m, shape)
        )

    def _columns(
        self, extent_m: tuple[float, float], angle_rad: float, origin: NDArray[np.float64]
    ) -> ProjectedColumns:
        positions_m, place = self.structure.lattice.fill(extent_m, angle_rad, origin)
        site = place.astype(int)
        return ProjectedColumns(
            positions_m=positions_m,
            weight=self.structure.weight[site].astype(np.float32),
            class_id=self.structure.class_id[site],
        )


def multislice_material(
    name: str,
    atoms: AtomsLike,
    conditions: ImagingConditions,
    options: MultisliceOptions | None = None,
    *,
    seed: int = 0,
) -> MultisliceMaterial:
    """Compute one cell of a structure: seconds for a small cell, much longer for a thick one with phonons.

    Args:
        name: of the material.
        atoms: a periodic cell with right angles, `ase.Atoms`, the beam along z; repeat it along z for a
            thicker specimen (`abtem.orthogonalize_cell` makes right angles).
        conditions: convergence angle and defocus are used.
        options: the rest.
        seed: of the frozen phonons.

    Raises:
        MultisliceError: abTEM is not installed, the cell has no right angles, or the sampling is too coarse
            for the detector.
        ValueError: the structure is out of bounds (see `material_from_atoms`).
    """
    given = options or MultisliceOptions()
    cell = np.asarray(atoms.cell, np.float64)
    if np.abs(cell - np.diag(np.diag(cell))).max() > 1e-6 * np.abs(cell).max():
        raise MultisliceError(
            f"The cell of {name} has no right angles.",
            safe="nothing was computed.",
            next_step="make a cell with right angles, for instance with abtem.orthogonalize_cell.",
        )
    structure = material_from_atoms(name, atoms)
    share = _cell_share(_abtem(), atoms, np.diag(cell) * _ANGSTROM_M, conditions, given, seed)
    return MultisliceMaterial(structure, share)


def _cell_share(
    abtem: ModuleType,
    atoms: Any,
    size_m: NDArray[np.float64],
    conditions: ImagingConditions,
    options: MultisliceOptions,
    seed: int,
) -> NDArray[np.float32]:
    repeats = np.ceil(options.probe_extent_m / size_m[:2]).astype(int).clip(1)
    piece = atoms * (int(repeats[0]), int(repeats[1]), 1)
    if options.phonon_configurations:
        piece = abtem.FrozenPhonons(
            piece,
            num_configs=options.phonon_configurations,
            sigmas=options.vibration_rms_m / _ANGSTROM_M,
            seed=seed,
        )
    potential = abtem.Potential(
        piece,
        sampling=options.sampling_m / _ANGSTROM_M,
        slice_thickness=options.slice_m / _ANGSTROM_M,
    )
    probe = abtem.Probe(
        energy=options.high_tension_v,
        semiangle_cutoff=conditions.convergence_angle_rad * 1e3,
        defocus=conditions.defocus_m / _ANGSTROM_M,
    )
    probe.grid.match(potential)
    reached_rad = min(probe.cutoff_angles) * 1e-3
    if options.detector_outer_rad > reached_rad:
        raise MultisliceError(
            f"A potential sampled at {options.sampling_m * 1e12:g} pm "
            f"scatters to {reached_rad * 1e3:.0f} mrad only; "
            f"the detector reaches to {options.detector_outer_rad * 1e3:.0f} mrad.",
            safe="nothing was computed.",
            next_step="sample more finely, or take a smaller detector.",
        )
    points = np.ceil(size_m[:2] / options.scan_step_m).astype(int).clip(4)
    scan = abtem.GridScan(
        start=(0, 0),
        end=tuple(size_m[:2] / _ANGSTROM_M),
        gpts=(int(points[0]), int(points[1])),
        endpoint=False,
    )
    detector = abtem.AnnularDetector(
        inner=options.detector_inner_rad * 1e3, outer=options.detector_outer_rad * 1e3
    )
    measured = probe.scan(potential, scan=scan, detectors=detector).compute(progress_bar=False)
    share = np.asarray(measured.array, np.float32)
    # Axes (x, y), as the vectors of the cell; phonons are averaged by abTEM.
    return share if share.ndim == 2 else share.mean(axis=0)


def _abtem() -> ModuleType:
    try:
        import abtem
    except ImportError as error:
        raise MultisliceError(
            f"abTEM is not installed ({error}).",
            safe="nothing was computed.",
            next_step="pip install 'eucentric[multislice]', or use the fast model (material_from_atoms).",
        ) from error
    abtem.config.set({"device": "cpu", "diagnostics.progress_bar": False})
    return abtem
