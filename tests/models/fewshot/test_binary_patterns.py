"""Binary patterns of many chips at once are those of scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from eucentric_models.fewshot._binary_patterns import uniform_patterns

SCALES = ((8, 1), (8, 2), (16, 3))


@pytest.fixture(scope="module")
def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (11, 40, 37), np.uint8)


def _by_scikit_image(chip: NDArray[np.uint8], neighbours: int, radius_px: int) -> NDArray[np.float64]:
    codes: NDArray[np.float64] = local_binary_pattern(  # type: ignore[no-untyped-call]
        chip, neighbours, radius_px, method="uniform"
    )
    return codes[radius_px:-radius_px, radius_px:-radius_px]


@pytest.mark.parametrize(("neighbours", "radius_px"), SCALES)
def test_are_those_of_scikit_image(noise: NDArray[np.uint8], neighbours: int, radius_px: int) -> None:
    expected = np.stack([_by_scikit_image(chip, neighbours, radius_px) for chip in noise])
    found = uniform_patterns(noise, neighbours, radius_px)
    # A neighbour that equals its centre may fall to either side there: of noise next to none.
    assert found.shape == expected.shape
    assert (found != expected).mean() < 2e-4


@pytest.mark.parametrize(("neighbours", "radius_px"), SCALES)
def test_count_an_equal_neighbour_as_not_darker_wherever_it_lies(neighbours: int, radius_px: int) -> None:
    flat = np.full((2, 20, 20), 77, np.uint8)
    assert (uniform_patterns(flat, neighbours, radius_px) == neighbours).all()


@pytest.mark.parametrize(("neighbours", "radius_px"), SCALES)
def test_do_not_depend_on_place_or_company(noise: NDArray[np.uint8], neighbours: int, radius_px: int) -> None:
    whole = uniform_patterns(noise, neighbours, radius_px)
    np.testing.assert_array_equal(uniform_patterns(noise[9:10], neighbours, radius_px)[0], whole[9])
    shifted = uniform_patterns(np.ascontiguousarray(noise[:, 3:, 5:]), neighbours, radius_px)
    np.testing.assert_array_equal(shifted, whole[:, 3:, 5:])
