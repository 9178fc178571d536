"""Registering, solving, stitching and finding: the parts of a procedure that need no instrument."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from eucentric_agents.procedures import (
    Exposure,
    Matching,
    MontagePlan,
    StageFacts,
    StageGeometry,
    assemble,
    find_particles,
    register,
    solve_positions,
    stitch,
)
from eucentric_agents.procedures._extras import needs
from eucentric_agents.procedures._look import resampled
from eucentric_core import ConfigurationError, DataFormatError, UnsupportedError

from .scene import Image, film, frame_of, noisy


@pytest.fixture(scope="module")
def picture() -> Image:
    return film(np.random.default_rng(1))


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (-31, 188), (27, 215), (190, -12)])
def test_tiles_are_found_where_they_lie_on_each_other(picture: Image, dy: int, dx: int) -> None:
    rng = np.random.default_rng(2)
    first = noisy(picture[200:456, 200:456], rng)
    second = noisy(picture[200 + dy : 456 + dy, 200 + dx : 456 + dx], rng)
    expected = (dy + rng.uniform(-20, 20), dx + rng.uniform(-20, 20))
    found = register(first, second, expected_px=expected, search_px=30)
    assert found is not None
    assert found.offset_px == pytest.approx((dy, dx), abs=0.5)
    assert found.ncc - found.rival_ncc > 0.2


def test_a_fraction_of_a_pixel_is_measured(picture: Image) -> None:
    # Every second pixel of pictures that are an odd number of pixels apart: half a pixel.
    first, second = picture[100:500:2, 100:500:2], picture[107:507:2, 103:503:2]
    found = register(first, second, search_px=6, smoothing_px=1.0)
    assert found is not None
    assert found.offset_px == pytest.approx((3.5, 1.5), abs=0.1)


def test_a_displacement_beyond_the_stages_reach_is_not_believed(picture: Image) -> None:
    rng = np.random.default_rng(3)
    first, second = picture[100:356, 100:356], picture[100:356, 180:436]
    _found, refusal = Matching().register(
        noisy(first, rng), noisy(second, rng), expected_px=(0, 20), search_px=25
    )
    assert refusal is not None


def test_an_empty_overlap_and_a_periodic_one_are_refused() -> None:
    rng = np.random.default_rng(4)
    flat = np.full((128, 128), 7.0)
    assert (
        Matching().register(flat, flat, expected_px=(0, 100), search_px=10)[1] == "no contrast, or no overlap"
    )
    dark = [rng.normal(500, 10, (128, 128)) for _ in range(2)]
    assert Matching().register(*dark, expected_px=(0, 100), search_px=20)[1] is not None
    lattice = np.add.outer(np.cos(np.arange(128) * 2 * np.pi / 9), np.cos(np.arange(128) * 2 * np.pi / 9))
    refusal = Matching().register(lattice, lattice, expected_px=(0, 60), search_px=20)[1]
    assert refusal is not None
    assert "another displacement" in refusal
    assert register(flat, flat, expected_px=(500, 0), search_px=10) is None


def grid(rows: int, columns: int, pitch: float) -> Image:
    return np.array([(r * pitch, c * pitch) for r in range(rows) for c in range(columns)], np.float64)


def grid_pairs(rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], axis=1)
    below = np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1)
    return np.concatenate([right, below])


def test_positions_follow_the_registrations_and_wrong_ones_bend_nothing() -> None:
    rng = np.random.default_rng(5)
    prior = grid(8, 8, 200.0)
    true = prior + rng.normal(0, 10, prior.shape)
    pairs = grid_pairs(8, 8)
    offsets = true[pairs[:, 1]] - true[pairs[:, 0]] + rng.normal(0, 0.2, (len(pairs), 2))
    wrong = rng.choice(len(pairs), 5, replace=False)
    offsets[wrong] += rng.uniform(25, 60, (5, 2))
    solution = solve_positions(prior, 20.0, pairs, offsets, np.ones(len(pairs)))
    error = solution.positions_px - true
    error -= error.mean(axis=0)
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.5
    assert set(np.flatnonzero(~solution.believed)) == set(wrong)


def test_of_two_registrations_that_contradict_each_other_the_surer_one_counts() -> None:
    prior = grid(2, 2, 200.0)
    pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    offsets = prior[pairs[:, 1]] - prior[pairs[:, 0]]
    offsets[2] += (25.0, -25.0)
    solution = solve_positions(prior, 40.0, pairs, offsets, np.array([0.9, 0.9, 0.3, 0.9]))
    assert list(solution.believed) == [True, True, False, True]
    assert solution.positions_px == pytest.approx(prior, abs=0.1)


def test_a_tile_that_nothing_was_registered_with_stays_where_the_stage_put_it() -> None:
    prior = grid(1, 3, 200.0)
    pairs, offsets = np.array([[0, 1]]), np.array([[4.0, 206.0]])
    solution = solve_positions(prior, 20.0, pairs, offsets, np.ones(1))
    assert solution.positions_px[2] == pytest.approx(prior[2])
    assert solution.positions_px[1] - solution.positions_px[0] == pytest.approx([4.0, 206.0], abs=0.05)
    alone = solve_positions(prior, 20.0, np.zeros((0, 2), np.int64), np.zeros((0, 2)), np.zeros(0))
    assert alone.positions_px == pytest.approx(prior)


def test_stitched_tiles_give_the_picture_back(picture: Image) -> None:
    corners = np.array([(0, 0), (3, 90), (95, -4), (101, 92)])
    tiles = [picture[100 + y : 228 + y, 100 + x : 228 + x] for y, x in corners]
    mosaic, weight = stitch(lambda index: tiles[index], corners.astype(np.float64))
    assert mosaic.dtype == np.float32
    expected = picture[100 : 100 + mosaic.shape[0], 96 : 96 + mosaic.shape[1]]
    covered = np.isfinite(mosaic)
    assert covered.mean() > 0.9
    assert np.array_equal(covered, weight > 0)
    assert mosaic[covered] == pytest.approx(expected[covered], abs=1e-5)


def test_blobs_are_found_at_their_centres() -> None:
    rng = np.random.default_rng(6)
    centres = np.array([(y, x) for y in (60.3, 150.0, 240.6) for x in (50.0, 140.4, 230.7)])
    rows, columns = np.indices((300, 300))
    picture = sum(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40.0) for y, x in centres)
    found = find_particles(frame_of(noisy(np.asarray(picture), rng), pixel_m=1e-9), diameter_m=12e-9)
    assert len(found) == len(centres)
    distance = np.linalg.norm(found[:, None] - centres[None], axis=2).min(axis=1)
    assert distance.max() < 0.5
    assert len(find_particles(frame_of(np.zeros((64, 64))), diameter_m=5e-9)) == 0


@pytest.mark.parametrize("shape", [(200, 200), (201, 199)])
def test_resampling_keeps_the_middle_in_the_middle(shape: tuple[int, int]) -> None:
    rows, columns = np.indices(shape)
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    picture = np.exp(-((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2) / 200.0)
    coarse = resampled(frame_of(picture, pixel_m=1e-9), 2.3e-9)
    weights = coarse / coarse.sum()
    centre = [float((weights * index).sum()) for index in np.indices(coarse.shape)]
    assert centre == pytest.approx([(n - 1) / 2 for n in coarse.shape], abs=1e-3)


@pytest.mark.parametrize("geometry", [StageGeometry(), StageGeometry(rotation_rad=0.7, mirrored=True)])
def test_stage_and_image_axes_convert_both_ways(geometry: StageGeometry) -> None:
    offset = np.array([[2e-9, 5e-9], [-1e-9, 3e-9]])
    assert geometry.to_image_m(geometry.to_stage_m(offset, 0.2), 0.2) == pytest.approx(offset)
    assert np.hypot(*geometry.to_stage_m(offset).T) == pytest.approx(np.hypot(*offset.T))


def test_the_fast_axis_turns_from_x_towards_y() -> None:
    x, y = StageGeometry().to_stage_m([0.0, 1e-9], np.pi / 2)
    assert (x, y) == pytest.approx((0.0, 1e-9), abs=1e-15)


def test_a_region_is_covered_and_rows_are_scanned_to_and_fro() -> None:
    plan = MontagePlan.covering(
        height_m=2.5e-6, width_m=2.6e-6, exposure=Exposure(field_of_view_m=1e-6), overlap=0.2
    )
    assert (plan.rows, plan.columns) == (3, 3)
    assert [place.column for place in plan.places] == [0, 1, 2, 2, 1, 0, 0, 1, 2]
    assert len(plan.neighbours) == 12
    offsets = plan.offsets_m(1e-6)
    assert offsets.mean(axis=0) == pytest.approx([0.0, 0.0])
    assert np.ptp(offsets, axis=0) == pytest.approx([1.6e-6, 1.6e-6])
    with pytest.raises(ConfigurationError, match="field of view"):
        MontagePlan.covering(height_m=1e-6, width_m=1e-6, exposure=Exposure())


def pieces(picture: Image, plan: MontagePlan, shifts: Image) -> tuple[list[Image], list[StageFacts]]:
    """Tiles cut where the stage truly was, and what it said."""
    tiles, stages = [], []
    for (y_m, x_m), (dy, dx) in zip(plan.offsets_m(128e-9), shifts, strict=True):
        top, left = round(y_m * 1e9 + dy) + 256, round(x_m * 1e9 + dx) + 256
        tiles.append(picture[top : top + 128, left : left + 128])
        stages.append(
            StageFacts(
                commanded_x_m=x_m,
                commanded_y_m=y_m,
                reported_x_m=x_m,
                reported_y_m=y_m,
                actual_x_m=None,
                actual_y_m=None,
                tolerance_m=6e-9,
            )
        )
    return tiles, stages


def test_what_cannot_be_registered_is_listed_and_tears_nothing(picture: Image, tmp_path: Path) -> None:
    plan = MontagePlan(rows=3, columns=3, overlap=0.4, exposure=Exposure(height_px=128, width_px=128))
    rng = np.random.default_rng(7)
    shifts = rng.integers(-4, 5, (9, 2)).astype(np.float64)
    tiles, stages = pieces(picture, plan, shifts)
    tiles[4] = np.full((128, 128), 3.0)
    result = assemble(plan, [frame_of(tile, pixel_m=1e-9) for tile in tiles], stages)
    assert {(pair.first, pair.second) for pair in result.failed} == {
        pair for pair in plan.neighbours if 4 in pair
    }
    assert all(pair.reason for pair in result.failed)
    assert [tile.registered for tile in result.tiles] == [number != 4 for number in range(9)]
    assert result.residual_rms_px is not None
    assert result.residual_rms_px < 0.5

    path = tmp_path / "mosaic.h5"
    result.save(path)
    with h5py.File(path) as file:
        assert file["entry/mosaic/data"].shape == result.frame.array.shape
        assert file["entry/mosaic/x"].attrs["units"] == "m"
        assert file["entry/tiles"][4]["registered"] == np.False_
        assert sum(~file["entry/pairs"]["used"]) == 4
    assert [child.name for child in tmp_path.iterdir()] == ["mosaic.h5"]

    matplotlib = pytest.importorskip("matplotlib.figure")
    axes = result.plot(matplotlib.Figure().subplots())
    assert "4 pairs unused" in axes.get_title()


def test_tiles_of_different_size_are_refused(picture: Image) -> None:
    plan = MontagePlan(rows=1, columns=2, exposure=Exposure(height_px=128, width_px=128))
    tiles, stages = pieces(picture, plan, np.zeros((2, 2)))
    frames = [frame_of(tiles[0], pixel_m=1e-9), frame_of(tiles[1], pixel_m=1.1e-9)]
    with pytest.raises(DataFormatError, match="Tile"):
        assemble(plan, frames, stages)


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(UnsupportedError, match="not installed") as refused:
        needs("skimage.no_such_module")
    assert "eucentric[procedures]" in refused.value.next_step
