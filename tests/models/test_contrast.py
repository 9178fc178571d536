"""Images whose columns are dark are analysed as their negatives; what is no lattice is said to be none."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_hpc.columns_model import columns_training_set
from eucentric_models.contrast import inverted, skewness
from eucentric_models.engines import read_description, shipped_folder
from eucentric_models.engines._atoms import ATOMS, AtomsModel


@pytest.fixture(scope="module")
def columns() -> AtomsModel:
    folder = shipped_folder("columns")
    return ATOMS.open(folder, read_description(folder))


def dots(side_px: int = 128, spacing_px: float = 16.0, sigma_px: float = 2.5) -> np.ndarray:
    y, x = (np.mod(axis, spacing_px) - spacing_px / 2 for axis in np.mgrid[:side_px, :side_px])
    return np.exp(-(y * y + x * x) / (2 * sigma_px**2)).astype(np.float32)


def test_peaks_are_skew_to_their_side() -> None:
    bright = dots()
    assert skewness(bright) > 1
    assert skewness(inverted(bright)) == pytest.approx(-skewness(bright), rel=1e-3)


def test_a_slow_background_and_noise_change_little() -> None:
    rng = np.random.default_rng(0)
    uneven = dots() + np.linspace(0, 1, 128, dtype=np.float32)[:, None]
    uneven += rng.normal(0, 0.05, uneven.shape).astype(np.float32)
    assert skewness(uneven) > 0.8


def test_what_has_no_contrast_has_no_side() -> None:
    assert skewness(np.ones((40, 40), np.float32)) == 0
    assert skewness(np.ones((8, 8), np.float32)) == 0
    assert abs(skewness(np.random.default_rng(1).normal(size=(200, 200)).astype(np.float32))) < 0.15


@pytest.mark.parametrize("seed", [3, 5])
def test_a_negative_gives_the_columns_of_the_image(columns: AtomsModel, seed: int) -> None:
    data = columns_training_set(1, np.random.default_rng(seed))
    frame, size = data.frames[0], data.pixel_sizes_m[0]
    straight = columns.apply(frame, pixel_size_m=size)
    negative = columns.apply(inverted(frame), pixel_size_m=size)
    assert not any("bright and dark" in doubt or "dark" in doubt for doubt in straight.unsure)
    assert any("bright and dark exchanged" in doubt for doubt in negative.unsure)
    assert len(negative.positions_px) == pytest.approx(len(straight.positions_px), rel=0.02)


def test_noise_is_said_to_be_in_no_order(columns: AtomsModel) -> None:
    noise = np.random.default_rng(2).poisson(5, (256, 256)).astype(np.float32)
    found = columns.apply(noise, pixel_size_m=18e-12)
    assert any("in no order" in doubt or "No column" in doubt for doubt in found.unsure)


def test_a_crystal_is_in_order(columns: AtomsModel) -> None:
    found = columns.apply(100 * dots(), pixel_size_m=18e-12)
    assert len(found.positions_px) >= 49
    assert not any("in no order" in doubt for doubt in found.unsure)


@pytest.mark.parametrize("spacing_px", [10.0, 16.0, 32.0])
def test_without_a_pixel_size_every_column_of_a_crystal_is_found(
    columns: AtomsModel, spacing_px: float
) -> None:
    found = columns.apply(100 * dots(192, spacing_px, spacing_px / 6), pixel_size_m=None)
    assert any("guessed" in doubt for doubt in found.unsure)
    assert len(found.positions_px) == pytest.approx((192 / spacing_px) ** 2, rel=0.05)
