"""The plasmon landscape that active spectroscopy is tried on follows the physics that it names."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_models.landscape import Particles
from eucentric_models.surrogate import dipole_plasmon_intensity, simulate_plasmon_landscape


def test_the_plasmon_of_a_sphere_is_uniform_within_it_and_falls_outside() -> None:
    sphere = Particles(np.zeros((1, 2)), np.array([20e-9]), np.zeros(1, np.int8))
    along_x = np.column_stack([np.zeros(5), np.array([0.0, 10e-9, 20e-9, 40e-9, 400e-9])])
    intensity = dipole_plasmon_intensity(sphere, along_x)
    assert intensity[0] == intensity[1] == intensity[2]
    assert intensity[2] > 4 * intensity[3] > 0
    # Far away the field of the electron ends: exp(-2 w b / v).
    assert intensity[4] < 1e-6 * intensity[2]


def test_plasmons_are_strongest_at_large_particles_and_add_up() -> None:
    sizes = np.array([5e-9, 10e-9])
    alone = [
        dipole_plasmon_intensity(
            Particles(np.zeros((1, 2)), sizes[i : i + 1], np.zeros(1, np.int8)), np.zeros(2)
        )
        for i in range(2)
    ]
    assert alone[1] > 1.5 * alone[0]
    both = dipole_plasmon_intensity(Particles(np.zeros((2, 2)), sizes, np.zeros(2, np.int8)), np.zeros(2))
    assert both == pytest.approx(alone[0] + alone[1])


def test_a_plasmon_landscape_is_the_same_for_the_same_seed_and_its_best_is_one() -> None:
    first, again, other = (simulate_plasmon_landscape((48, 48), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.property, again.property)
    assert not np.array_equal(first.image, other.image)
    assert first.property.max() == 1
    assert first.property.min() >= 0
