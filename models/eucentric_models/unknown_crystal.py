"""Frames of crystals of unknown kind: what a model for recorded data of any material starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .crystal import ProjectedColumns
from .image_formation import (
    CROSS_SECTION_M2_PER_WEIGHT,
    ImagingConditions,
    SimulatedFrame,
    expected_signal,
    form_frame,
)
from .material import VACANCY
from .projected_lattice import draw_lattice

_COLUMN_WEIGHT = (500.0, 6000.0)
_RESOLVED_SIGMAS = 2.8
_FAINT = 0.06
_ROSE_CRITERION = 5.0  # signal over noise from which on a disc of unknown place is seen reliably
_SMOOTHING_M = (8e-12, 36e-12)
_INTERFACE_SHARE = 0.3
_AMORPHOUS_SHARE = 0.6
_AMORPHOUS_DENSITY_PER_M2 = (2e19, 8e19)


@dataclass(frozen=True, slots=True)
class UnknownCrystal:
    """Any crystal on any zone axis: every atomic column is a ``column``.

    A frame shows one or two grains with a lattice drawn from the Bravais family, sometimes beside vacuum or
    an amorphous region, with column intensities that scatter, fade over the frame and sit on an uneven
    background.  Columns that have lost nearly all their intensity, or drown in the noise or in the light of
    their neighbours, are ``vacancy``: neither learned nor scored.  Many frames are low-passed, as recordings
    are that were averaged after rigid alignment, resampled or filtered before they were saved.

    Attributes:
        name: key in :data:`eucentric_models.START_MATERIALS`.
        classes: class names; the index is the class id.
        shortest_distance_m: range of the distance of neighbouring columns on common zone axes.
        weakest_column: smallest intensity of a regular column relative to the strongest of its cell.
        two_grains_share: share of the frames with a grain boundary or an interface.
        edge_share: share of the frames with a region without crystal.
        smoothed_share: share of the frames that are low-passed.
    """

    name: str = "columns"
    classes: tuple[str, ...] = ("column", VACANCY)
    shortest_distance_m: tuple[float, float] = (0.13e-9, 0.42e-9)
    weakest_column: float = 0.12
    two_grains_share: float = 0.3
    edge_share: float = 0.25
    smoothed_share: float = 0.5

    @property
    def detectable_classes(self) -> tuple[str, ...]:
        """What a network is trained to find."""
        return self.classes[:1]

    def simulate(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator
    ) -> SimulatedFrame:
        """One labelled frame of a fresh specimen.

        Args:
            conditions: optics, scan and detector.
            shape: ``(ny, nx)`` in pixels.
            rng: source of the specimen and of all noise.
        """
        field_m = (shape[0] * conditions.pixel_size_m, shape[1] * conditions.pixel_size_m)
        extent_m = (field_m[0] + 1e-9, field_m[1] + 1e-9)
        smoothing_m = rng.uniform(*_SMOOTHING_M) if rng.random() < self.smoothed_share else 0.0
        sigma_m = float(np.sqrt(max(conditions.probe_covariance_m2[:2]) + smoothing_m**2))
        # What cannot be resolved nobody can label, and a frame has to show a few columns.
        shortest_m, longest_m = self.shortest_distance_m
        lattices = (min(max(shortest_m, _RESOLVED_SIGMAS * sigma_m), longest_m), longest_m)
        position, strength, outside = self._grains(extent_m, lattices, rng)
        relative = strength * np.exp(rng.uniform(0.02, 0.3) * rng.standard_normal(len(strength)))
        hurt = rng.random(len(strength)) < rng.choice([0.0, 0.01, 0.04])
        relative[hurt] *= rng.uniform(0, 0.7, int(hurt.sum()))
        relative *= 1 + rng.uniform(0, 0.45) * _Undulation.draw(extent_m, rng).at(position)
        weight = np.exp(rng.uniform(*np.log(_COLUMN_WEIGHT)))
        unit = weight * CROSS_SECTION_M2_PER_WEIGHT / (2 * np.pi * sigma_m**2)
        background = unit * _contamination(field_m, shape, rng)
        signal_to_noise = _signal_to_noise(weight * relative, float(background.mean()), conditions)
        faint = (relative < _FAINT) | (signal_to_noise < _ROSE_CRITERION)
        faint |= relative < _shine_of_others(position, relative, sigma_m)
        columns = ProjectedColumns(
            positions_m=position,
            weight=(weight * relative).astype(np.float32),
            class_id=faint.astype(np.int8),
        )
        if outside is not None and rng.random() < _AMORPHOUS_SHARE:
            glass = _amorphous(extent_m, outside, weight, rng)
            background += expected_signal(glass, conditions, shape) - conditions.background_fraction
        formed = form_frame(columns, conditions, shape, rng, background=background.astype(np.float32))
        if not smoothing_m:
            return formed
        return SimulatedFrame(_low_pass(formed.frame, smoothing_m / conditions.pixel_size_m), formed.truth)

    def _grains(
        self, extent_m: tuple[float, float], distances_m: tuple[float, float], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], _Boundary | None]:
        lattice = draw_lattice(rng, shortest_distance_m=distances_m, weakest=self.weakest_column)
        shortest_m = lattice.shortest_distance_m
        position, strength = lattice.fill(extent_m, rng.uniform(0, 2 * np.pi), rng.random(2))
        if rng.random() < self.two_grains_share:
            if rng.random() < _INTERFACE_SHARE:
                lattice = draw_lattice(rng, shortest_distance_m=distances_m, weakest=self.weakest_column)
                shortest_m = min(shortest_m, lattice.shortest_distance_m)
            other, others_strength = lattice.fill(extent_m, rng.uniform(0, 2 * np.pi), rng.random(2))
            boundary = _Boundary.draw(extent_m, rng)
            here, there = ~boundary.beyond(position), boundary.beyond(other)
            position, other = position[here], other[there]
            apart = _farther_than(other, position, 0.75 * shortest_m)
            position = np.concatenate([position, other[apart]])
            strength = np.concatenate([strength[here], others_strength[there][apart] * rng.uniform(0.6, 1.4)])
        position = position + rng.uniform(0, 0.05) * shortest_m * rng.standard_normal(position.shape)
        if rng.random() >= self.edge_share:
            return position, strength, None
        edge = _Boundary.draw(extent_m, rng)
        inside = ~edge.beyond(position)
        return position[inside], strength[inside], edge


@dataclass(frozen=True, slots=True)
class _Undulation:
    """A smooth random function over the field of view, within [-1, 1]."""

    wave_vectors_per_m: NDArray[np.float64]
    phases_rad: NDArray[np.float64]

    @classmethod
    def draw(cls, extent_m: tuple[float, float], rng: np.random.Generator) -> _Undulation:
        vectors = rng.normal(0, 2.5, (3, 2)) / np.asarray(extent_m)
        return cls(vectors, rng.uniform(0, 2 * np.pi, 3))

    def at(self, positions_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values (...) at positions (..., 2)."""
        phase = positions_m @ self.wave_vectors_per_m.T + self.phases_rad
        return np.asarray(np.cos(phase).mean(axis=-1))


@dataclass(frozen=True, slots=True)
class _Boundary:
    """A straight line across the field of view."""

    normal: NDArray[np.float64]
    offset_m: float

    @classmethod
    def draw(cls, extent_m: tuple[float, float], rng: np.random.Generator) -> _Boundary:
        angle = rng.uniform(0, 2 * np.pi)
        return cls(np.array([np.sin(angle), np.cos(angle)]), float(rng.uniform(-0.1, 0.35)) * min(extent_m))

    def beyond(self, positions_m: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of (n, 2) positions lie on the far side."""
        return np.asarray(positions_m @ self.normal > self.offset_m)


def _signal_to_noise(
    weight: NDArray[np.float64], background: float, conditions: ImagingConditions
) -> NDArray[np.float64]:
    """Electrons of a column over the dose noise of its disc (Rose, J. Opt. Soc. Am. 38, 196, 1948)."""
    counted_per_m2 = conditions.dose_electrons_per_m2 * conditions.collection_efficiency
    column = weight * CROSS_SECTION_M2_PER_WEIGHT * counted_per_m2
    disc_m2 = 4 * np.pi * conditions.probe_sigma_m**2
    return np.asarray(column / np.sqrt(column + background * disc_m2 * counted_per_m2))


def _shine_of_others(
    positions_m: NDArray[np.float64], relative: NDArray[np.float64], sigma_m: float
) -> NDArray[np.float64]:
    """What the neighbours, Gaussians of the given width, contribute at the place of each column."""
    # A weak column on the flank of a strong one makes no peak of its own once it is below this.
    total = np.zeros(len(relative))
    for rows in np.array_split(np.arange(len(relative)), max(1, len(relative) // 256)):
        squared = ((positions_m[rows, None] - positions_m[None]) ** 2).sum(axis=2)
        total[rows] = np.exp(-squared / (2 * sigma_m**2)) @ relative
    return np.asarray(total - relative)


def _low_pass(frame: NDArray[np.generic], sigma_px: float) -> NDArray[np.float32]:
    margin = int(np.ceil(4 * sigma_px))
    padded = np.pad(frame.astype(np.float32), margin, mode="reflect")
    fy, fx = np.fft.fftfreq(padded.shape[0])[:, None], np.fft.rfftfreq(padded.shape[1])[None, :]
    spectrum = np.fft.rfft2(padded) * np.exp(-2 * (np.pi * sigma_px) ** 2 * (fy**2 + fx**2))
    smooth = np.fft.irfft2(spectrum, s=padded.shape)
    return smooth[margin : margin + frame.shape[0], margin : margin + frame.shape[1]].astype(np.float32)


def _farther_than(
    positions: NDArray[np.float64], others: NDArray[np.float64], distance_m: float
) -> NDArray[np.bool_]:
    squared = np.full(len(positions), np.inf)
    for chunk in np.array_split(others, max(1, len(others) // 256)):
        offsets = positions[:, None] - chunk[None]
        squared = np.minimum(squared, (offsets**2).sum(axis=2).min(axis=1, initial=np.inf))
    return np.asarray(squared > distance_m**2)


def _amorphous(
    extent_m: tuple[float, float], outside: _Boundary, weight: float, rng: np.random.Generator
) -> ProjectedColumns:
    count = int(extent_m[0] * extent_m[1] * rng.uniform(*_AMORPHOUS_DENSITY_PER_M2))
    position = rng.uniform(-0.5, 0.5, (count, 2)) * extent_m
    position = position[outside.beyond(position)]
    strength = weight * rng.uniform(0.02, 0.15) * rng.exponential(1.0, len(position))
    return ProjectedColumns(
        positions_m=position,
        weight=strength.astype(np.float32),
        class_id=np.zeros(len(position), np.int8),
    )


def _contamination(
    field_m: tuple[float, float], shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Background (ny, nx) in units of the height of a strong column."""
    grid = np.stack(
        np.meshgrid(
            *((np.arange(n) + 0.5) / n * f - f / 2 for n, f in zip(shape, field_m, strict=True)),
            indexing="ij",
        ),
        axis=-1,
    )
    level = np.exp(rng.uniform(np.log(0.02), np.log(1.0)))
    uneven = level * (1 + rng.uniform(0, 0.8) * _Undulation.draw(field_m, rng).at(grid))
    for _ in range(rng.integers(0, 4)):
        centre = rng.uniform(-0.5, 0.5, 2) * field_m
        radius_m = rng.uniform(0.2e-9, 1.2e-9)
        height = rng.uniform(0, 0.5)
        uneven += height * np.exp(-((grid - centre) ** 2).sum(axis=-1) / (2 * radius_m**2))
    return np.asarray(uneven)
