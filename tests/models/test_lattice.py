"""What the lattice in a frame says: how large a pixel may be, and how large the cell is."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import DEMO_CONDITIONS, simulate_frames
from eucentric_models.lattice_fit import fit_lattice
from eucentric_models.lattice_scale import guessed_pixel_size_m, strongest_spacing_px

SPACING_M = {
    "graphene": 2.46e-10 * np.sqrt(3) / 2,
    "mos2": 3.161e-10 * np.sqrt(3) / 2,
    "srtio3": 3.905e-10 / np.sqrt(2),
}
CELL_M = {"graphene": 2.46e-10, "mos2": 3.161e-10, "srtio3": 3.905e-10 / np.sqrt(2)}


def frame_of(material: str, pixel_size_m: float) -> tuple[np.ndarray, np.ndarray]:
    conditions = DEMO_CONDITIONS.initial.model_copy(
        update={"pixel_size_m": pixel_size_m, "beam_current_a": 2e-10, "dwell_time_s": 1e-5}
    )
    made = simulate_frames(material, conditions, 1, (320, 320), np.random.default_rng(4))[0]
    return made.frame, made.truth


@pytest.mark.parametrize("material", list(CELL_M))
@pytest.mark.parametrize("pixel_size_m", [8e-12, 20e-12])
def test_the_spacing_of_the_strongest_planes_is_seen(material: str, pixel_size_m: float) -> None:
    spacing_px = strongest_spacing_px(frame_of(material, pixel_size_m)[0])
    assert spacing_px is not None
    # Atomic planes of another order may be as strong in a frame; half as far apart they are not.
    assert 0.9 < spacing_px * pixel_size_m / SPACING_M[material] < 1.5


def test_noise_shows_no_lattice() -> None:
    noise = np.random.default_rng(0).normal(size=(256, 256))
    assert strongest_spacing_px(noise) is None
    assert guessed_pixel_size_m(noise) is None
    assert guessed_pixel_size_m(np.ones((64, 64))) is None
    assert guessed_pixel_size_m(np.ones((8, 8))) is None


@pytest.mark.parametrize("material", list(CELL_M))
def test_the_cell_is_found_although_columns_are_missing_displaced_and_invented(material: str) -> None:
    rng = np.random.default_rng(2)
    truth = frame_of(material, 12e-12)[1]
    seen = truth[(truth[:, 2] < 2) & (rng.random(len(truth)) < 0.95), :2]
    seen = np.concatenate([seen + rng.normal(0, 0.6, seen.shape), rng.uniform(0, 320, (8, 2))])
    lattice = fit_lattice(seen)
    assert lattice is not None
    np.testing.assert_allclose(np.array(lattice.lengths_px) * 12e-12, CELL_M[material], rtol=0.005)
    expected = np.pi / 2 if material == "srtio3" else np.pi / 3
    assert min(lattice.angle_rad, np.pi - lattice.angle_rad) == pytest.approx(expected, abs=0.01)
    assert lattice.cell_area_px == pytest.approx(np.prod(lattice.lengths_px) * np.sin(expected), rel=0.01)


def test_points_at_random_have_no_lattice() -> None:
    rng = np.random.default_rng(0)
    assert fit_lattice(rng.uniform(0, 300, (500, 2))) is None
    assert fit_lattice(rng.uniform(0, 300, (5, 2))) is None
