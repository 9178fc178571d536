"""A specimen whose places differ: gold particles of all sizes on carbon, at any magnification."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter
from skimage.registration import phase_cross_correlation

from eucentric_models import (
    LANDSCAPE_CLASSES,
    ImagingConditions,
    Landscape,
    LandscapeRecipe,
    View,
    form_landscape_frame,
    landscape_signal,
)

SHAPE = (256, 256)


@pytest.fixture(scope="module")
def landscape() -> Landscape:
    return Landscape(LandscapeRecipe(), 6e-6, seed=4)


def conditions(field_of_view_m: float) -> ImagingConditions:
    return ImagingConditions(
        pixel_size_m=field_of_view_m / SHAPE[1],
        probe_sigma_m=60e-12,
        beam_current_a=30e-12,
        dwell_time_s=2e-6,
    )


def picture(landscape: Landscape, field_of_view_m: float, view: View, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    frame = form_landscape_frame(landscape, conditions(field_of_view_m), SHAPE, rng, view=view).frame
    return frame.astype(float) - 500


@pytest.mark.parametrize("field_of_view_m", [3e-8, 2e-7, 1.5e-6, 4e-6])
def test_a_move_shifts_the_picture_by_just_as_much_at_every_magnification(
    landscape: Landscape, field_of_view_m: float
) -> None:
    pixel_m = field_of_view_m / SHAPE[1]
    moved = View((2e-7 + 20.5 * pixel_m, -3e-7 - 11.25 * pixel_m))
    first = picture(landscape, field_of_view_m, View((2e-7, -3e-7)), seed=1)
    second = picture(landscape, field_of_view_m, moved, seed=2)
    # What both show, but for the fraction of a pixel; without a window the edges pull it to zero.
    window = np.multiply.outer(np.hanning(236), np.hanning(245))
    pair = [
        gaussian_filter(image - image.mean(), 1) * window for image in (first[20:, :-11], second[:-20, 11:])
    ]
    shift, _, _ = phase_cross_correlation(*pair, upsample_factor=20, normalization=None)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(shift, (0.5, -0.25), atol=0.2)


def test_a_place_looks_the_same_at_every_visit_and_another_seed_is_another_landscape(
    landscape: Landscape,
) -> None:
    view = View((4e-7, 1e-7))
    before = landscape_signal(landscape, 1e-9, SHAPE, view)[0]
    for y in np.linspace(-2e-6, 2e-6, 12):
        landscape_signal(landscape, 2e-9, SHAPE, View((y, 0.0)))
    np.testing.assert_array_equal(landscape_signal(landscape, 1e-9, SHAPE, view)[0], before)
    again = Landscape(LandscapeRecipe(), 6e-6, seed=4)
    np.testing.assert_array_equal(landscape_signal(again, 1e-9, SHAPE, view)[0], before)
    other = Landscape(LandscapeRecipe(), 6e-6, seed=5)
    assert not np.allclose(landscape_signal(other, 1e-9, SHAPE, view)[0], before)


def test_a_coarse_picture_is_the_mean_of_a_fine_one(landscape: Landscape) -> None:
    view = View((0.5e-7, 1e-7))
    fine = landscape_signal(landscape, 1e-9, (512, 512), view)[0]
    coarse = landscape_signal(landscape, 8e-9, (64, 64), view)[0]
    blocks = fine.reshape(64, 8, 64, 8).mean(axis=(1, 3))
    assert coarse.mean() == pytest.approx(blocks.mean(), rel=0.1)
    assert np.corrcoef(gaussian_filter(coarse, 1).ravel(), gaussian_filter(blocks, 1).ravel())[0, 1] > 0.97


def test_particles_are_where_the_truth_says_and_brighter_than_the_film(landscape: Landscape) -> None:
    view = View((-3e-7, 6e-7))
    frame, truth = form_landscape_frame(
        landscape, conditions(3e-7), SHAPE, np.random.default_rng(3), view=view
    )
    assert truth.dtype == np.float32
    assert set(np.unique(truth[:, 2])) <= set(range(len(LANDSCAPE_CLASSES)))
    particles = truth[truth[:, 2] == LANDSCAPE_CLASSES.index("particle")]
    assert len(particles) > 10
    rows, columns = np.rint(particles[:, :2]).astype(int).T
    assert np.median(frame[rows, columns]) > np.median(frame) + 10 * np.std(frame[frame < np.median(frame)])


def test_a_turned_and_tilted_view_is_the_same_specimen_seen_otherwise(landscape: Landscape) -> None:
    view = View((1e-7, 2e-7), rotation_rad=0.5, foreshortening=(np.cos(0.6), 1.0))
    straight = landscape_signal(landscape, 2e-9, (512, 512), View(view.centre_m))[0]
    seen = landscape_signal(landscape, 2e-9, (160, 160), view)[0]
    steps = view.to_specimen
    offset = np.array([255.5, 255.5]) - steps @ np.array([79.5, 79.5])
    expected = affine_transform(gaussian_filter(straight, 1.0), steps, offset, (160, 160), order=1)
    assert np.corrcoef(gaussian_filter(seen, 1.0).ravel(), expected.ravel())[0, 1] > 0.9
    y, x = view.place_m((3e-9, -4e-9))
    back = view.to_field @ (np.array([y, x]) - np.array(view.centre_m))
    np.testing.assert_allclose(back, (3e-9, -4e-9))


def test_there_is_nothing_beyond_the_edge(landscape: Landscape) -> None:
    outside, truth = landscape_signal(landscape, 1e-9, SHAPE, View((5e-6, 0.0)))
    assert (outside.max(), len(truth)) == (0, 0)
    half_out = landscape_signal(landscape, 1e-9, SHAPE, View((3e-6, 0.0), rotation_rad=0.3))[0]
    assert 0.2 < np.mean(half_out == 0) < 0.8


def test_a_landscape_of_no_size_or_an_endless_one_is_refused() -> None:
    for extent_m in (0.0, 1e-3):
        with pytest.raises(ValueError, match="extent_m"):
            Landscape(LandscapeRecipe(), extent_m, seed=0)
