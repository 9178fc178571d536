"""Gold nanoparticles on amorphous carbon: a specimen with features from nanometres to micrometres.

A lattice is periodic and cannot be registered; no two places of a landscape are alike. Particles are
spheres of log-normal size at irregular places, thinned out where the film is thin; larger ones lie in
clusters; seeds of a nanometre lie between them. A place looks the same whenever it is visited.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LANDSCAPE_CLASSES", "Landscape", "LandscapeRecipe", "Particles"]

LANDSCAPE_CLASSES = ("particle", "cluster", "seed")
"""Class names of a landscape's truth; a cluster counts as the particles it is made of."""

_WAVES = 24
_SEED_TILE_M = 2.5e-7
_CACHED_TILES = 128
_SHORTEST_WAVE_M = 4e-7


class LandscapeRecipe(BaseModel):
    """What a landscape is made of.

    Attributes:
        particle_spacing_m: mean distance between particles.
        particle_radius_m: median radius of the particles.
        radius_spread: rms of the logarithm of all radii.
        cluster_spacing_m: mean distance between clusters.
        cluster_radius_m: median radius of the particles of a cluster.
        cluster_size: mean number of particles of a cluster.
        seed_spacing_m: mean distance between seeds.
        seed_radius_m: median radius of the seeds.
        film_thickness_m: mean thickness of the carbon film.
        film_relief: rms of the film's thickness over its mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    particle_spacing_m: float = Field(default=6e-8, ge=2e-8, le=1e-5)
    particle_radius_m: float = Field(default=5e-9, ge=1e-9, le=2e-8)
    radius_spread: float = Field(default=0.35, ge=0, le=0.6)
    cluster_spacing_m: float = Field(default=1.2e-6, ge=2e-7, le=1e-4)
    cluster_radius_m: float = Field(default=2.5e-8, ge=1e-9, le=1e-7)
    cluster_size: float = Field(default=12, ge=1, le=100)
    seed_spacing_m: float = Field(default=1e-8, ge=5e-9, le=1e-6)
    seed_radius_m: float = Field(default=1.2e-9, ge=3e-10, le=5e-9)
    film_thickness_m: float = Field(default=1.2e-8, ge=1e-9, le=1e-7)
    film_relief: float = Field(default=0.25, ge=0, le=0.3)


@dataclass(frozen=True, slots=True)
class Particles:
    """Spheres on the film.

    Attributes:
        positions_m: (n, 2) float64, ``[y, x]`` of the centres.
        radius_m: (n,) float64.
        class_id: (n,) int8, index into :data:`LANDSCAPE_CLASSES`.
    """

    positions_m: NDArray[np.float64]
    radius_m: NDArray[np.float64]
    class_id: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.radius_m)

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> Particles:
        return Particles(self.positions_m[rows], self.radius_m[rows], self.class_id[rows])

    @staticmethod
    def joined(parts: list[Particles]) -> Particles:
        """All of them in one."""
        return Particles(
            np.concatenate([p.positions_m for p in parts]),
            np.concatenate([p.radius_m for p in parts]),
            np.concatenate([p.class_id for p in parts]),
        )


class Landscape:
    """A square of film with its particles. Deterministic; asking changes nothing but a cache of seeds.

    Args:
        recipe: what it is made of.
        extent_m: length of its edge, in [1e-7, 5e-5]; it is centred on the origin.
        seed: decides everything.

    Raises:
        ValueError: the extent is out of bounds.
    """

    def __init__(self, recipe: LandscapeRecipe, extent_m: float, seed: int) -> None:
        if not 1e-7 <= extent_m <= 5e-5:
            raise ValueError(f"extent_m must be within [1e-7, 5e-5] m, got {extent_m}")
        self.recipe = recipe
        self.extent_m = extent_m
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        longest_m = max(extent_m / 2, 2 * _SHORTEST_WAVE_M)
        wavelength = np.exp(rng.uniform(np.log(_SHORTEST_WAVE_M), np.log(longest_m), _WAVES))
        direction = rng.uniform(0, np.pi, _WAVES)
        self._wave = 2 * np.pi / wavelength * np.stack([np.sin(direction), np.cos(direction)])
        self._phase = rng.uniform(0, 2 * np.pi, _WAVES)
        self._layers = (_Layer(self._grow_particles(rng)), _Layer(self._grow_clusters(rng)))
        self._seeds: OrderedDict[tuple[int, int], Particles] = OrderedDict()

    def particles_within(
        self, centre_m: tuple[float, float], half_size_m: tuple[float, float], *, seeds: bool
    ) -> Particles:
        """All particles that touch a rectangle, and some beside it; with or without the seeds."""
        parts = [layer.within(centre_m, half_size_m) for layer in self._layers]
        if seeds:
            reach = [half + 5 * self.recipe.seed_radius_m for half in half_size_m]
            first, last = (
                [int(np.floor((c + sign * r) / _SEED_TILE_M)) for c, r in zip(centre_m, reach, strict=True)]
                for sign in (-1, 1)
            )
            for row in range(first[0], last[0] + 1):
                parts += [self._seed_tile(row, column) for column in range(first[1], last[1] + 1)]
        return Particles.joined(parts)

    def expected_seeds(self, half_size_m: tuple[float, float]) -> float:
        """How many seeds a rectangle holds on average."""
        return 4 * half_size_m[0] * half_size_m[1] / self.recipe.seed_spacing_m**2

    @property
    def mean_seed_thickness_m(self) -> float:
        """The seeds spread out evenly, as a thickness of gold."""
        recipe = self.recipe
        # E[r^3] of a log-normal radius; the radii are not clipped far enough out to matter.
        cubed = recipe.seed_radius_m**3 * np.exp(4.5 * recipe.radius_spread**2)
        return float(4 / 3 * np.pi * cubed / recipe.seed_spacing_m**2)

    def film_thickness_m(
        self,
        origin_m: tuple[float, float],
        step_y_m: NDArray[np.float64],
        step_x_m: NDArray[np.float64],
        shape: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Thickness of the film on a grid of points, (ny, nx) float32.

        Args:
            origin_m: ``[y, x]`` of the first point.
            step_y_m: from one row of the grid to the next, ``[y, x]``.
            step_x_m: from one column to the next, ``[y, x]``.
            shape: ``(ny, nx)``.
        """
        # cos(a + b) of all waves is one matrix product of the cosines and sines of a and b.
        along_y = np.multiply.outer(np.arange(shape[0]), step_y_m @ self._wave)
        along_y += np.asarray(origin_m) @ self._wave + self._phase
        along_x = np.multiply.outer(np.arange(shape[1]), step_x_m @ self._wave)
        left = np.concatenate([np.cos(along_y), -np.sin(along_y)], axis=1).astype(np.float32)
        right = np.concatenate([np.cos(along_x), np.sin(along_x)], axis=1).astype(np.float32)
        relief = left @ right.T
        return self._thickness(relief)

    def _thickness(self, relief: NDArray[np.floating]) -> NDArray[np.float32]:
        scaled = 1 + self.recipe.film_relief * np.sqrt(2 / _WAVES) * relief
        return np.asarray(self.recipe.film_thickness_m * np.maximum(scaled, 0.1), np.float32)

    def _grow_particles(self, rng: np.random.Generator) -> Particles:
        recipe = self.recipe
        count = rng.poisson(2 * (self.extent_m / recipe.particle_spacing_m) ** 2)
        positions = rng.uniform(-self.extent_m / 2, self.extent_m / 2, (count, 2))
        film = self._thickness(np.cos(positions @ self._wave + self._phase).sum(axis=1))
        # Half of them stay, more of them where the film is thick.
        keep = rng.random(count) < 0.5 * (film / recipe.film_thickness_m) ** 2
        return self._spheres(positions[keep], recipe.particle_radius_m, 0, rng)

    def _grow_clusters(self, rng: np.random.Generator) -> Particles:
        recipe = self.recipe
        count = rng.poisson((self.extent_m / recipe.cluster_spacing_m) ** 2)
        centres = rng.uniform(-self.extent_m / 2, self.extent_m / 2, (count, 2))
        sizes = 1 + rng.poisson(recipe.cluster_size - 1, count)
        spread = recipe.cluster_radius_m * np.sqrt(sizes)
        owner = np.repeat(np.arange(count), sizes)
        positions = centres[owner] + rng.normal(0, 1, (len(owner), 2)) * 0.8 * spread[owner, None]
        inside = np.abs(positions).max(axis=1, initial=0) <= self.extent_m / 2
        return self._spheres(positions[inside], recipe.cluster_radius_m, 1, rng)

    def _seed_tile(self, row: int, column: int) -> Particles:
        known = self._seeds.get((row, column))
        if known is not None:
            self._seeds.move_to_end((row, column))
            return known
        # An index may be negative, a seed may not.
        rng = np.random.default_rng([self._seed, 1, row + 2**20, column + 2**20])
        count = rng.poisson((_SEED_TILE_M / self.recipe.seed_spacing_m) ** 2)
        positions = (np.array([row, column]) + rng.random((count, 2))) * _SEED_TILE_M
        positions = positions[np.abs(positions).max(axis=1, initial=0) <= self.extent_m / 2]
        tile = self._spheres(positions, self.recipe.seed_radius_m, 2, rng)
        self._seeds[row, column] = tile
        if len(self._seeds) > _CACHED_TILES:
            self._seeds.popitem(last=False)
        return tile

    def _spheres(
        self, positions_m: NDArray[np.float64], radius_m: float, kind: int, rng: np.random.Generator
    ) -> Particles:
        deviation = np.clip(rng.normal(0, 1, len(positions_m)), -2.5, 2.5)
        radius = radius_m * np.exp(self.recipe.radius_spread * deviation)
        return Particles(positions_m, radius, np.full(len(radius), kind, np.int8))


class _Layer:
    """Particles sorted by y in strips and by x within them, so that a rectangle is a few slices."""

    def __init__(self, particles: Particles) -> None:
        self._largest_m = float(particles.radius_m.max(initial=0))
        y, x = particles.positions_m[:, 0], particles.positions_m[:, 1]
        self._strip_m = max(float(np.ptp(y)) / 200, 1e-8) if len(particles) else 1.0
        self._lowest = float(y.min(initial=0))
        strip = ((y - self._lowest) / self._strip_m).astype(np.int64)
        order = np.lexsort((x, strip))
        self._particles = particles[order]
        self._x = x[order]
        self._starts = np.searchsorted(strip[order], np.arange(int(strip.max(initial=0)) + 2))

    def within(self, centre_m: tuple[float, float], half_size_m: tuple[float, float]) -> Particles:
        reach_y, reach_x = (half + self._largest_m for half in half_size_m)
        first = int(np.floor((centre_m[0] - reach_y - self._lowest) / self._strip_m))
        last = int(np.floor((centre_m[0] + reach_y - self._lowest) / self._strip_m))
        rows = [np.empty(0, np.intp)]
        for strip in range(max(first, 0), min(last, len(self._starts) - 2) + 1):
            start, stop = self._starts[strip], self._starts[strip + 1]
            edges = np.searchsorted(self._x[start:stop], (centre_m[1] - reach_x, centre_m[1] + reach_x))
            rows.append(np.arange(start + edges[0], start + edges[1]))
        return self._particles[np.concatenate(rows)]
