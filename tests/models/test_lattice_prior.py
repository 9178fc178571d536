"""Neighbours make positions better where columns stand on a lattice, and change nothing where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_models import Decoding, LatticePrior, fit_lattice_prior, heat_maps, settled
from eucentric_models.translations import common_translations, lattice_translations, partners

NOISE_PX = 0.4


def square(side: int = 12, spacing: float = 20.0, turn_rad: float = 0.3) -> np.ndarray:
    index = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    return spacing * index @ np.array([[c, s], [-s, c]]) + 300.0


def honeycomb(side: int = 14, bond: float = 12.0) -> np.ndarray:
    vectors = bond * np.array([[0.0, np.sqrt(3)], [1.5, np.sqrt(3) / 2]])
    index = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    places = index @ vectors
    return np.concatenate([places, places + np.array([bond, 0.0])])


def noisy(places: np.ndarray, seed: int = 0) -> np.ndarray:
    return places + np.random.default_rng(seed).normal(0, NOISE_PX, places.shape)


def rms(apart: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(apart))))


def one_class(places: np.ndarray) -> np.ndarray:
    return np.zeros(len(places), np.int8)


class TestTranslations:
    @pytest.mark.parametrize("turn_rad", [0.0, 0.3, np.pi / 4])
    def test_those_of_a_square_lattice(self, turn_rad: float) -> None:
        places = noisy(square(turn_rad=turn_rad))
        lengths = np.hypot(*common_translations(places, one_class(places)).T)
        assert (np.diff(lengths) >= 0).all()
        np.testing.assert_allclose(lengths[:4], [20, 20, 20 * np.sqrt(2), 20 * np.sqrt(2)], rtol=0.02)

    def test_a_step_to_the_other_column_of_the_cell_is_none(self) -> None:
        places = noisy(honeycomb())
        lengths = np.hypot(*common_translations(places, one_class(places)).T)
        np.testing.assert_allclose(lengths[:3], 12 * np.sqrt(3), rtol=0.03)

    def test_columns_of_another_class_do_not_count(self) -> None:
        places = noisy(np.concatenate([square(turn_rad=0), square(turn_rad=0) + 10.0]))
        class_id = np.repeat([0, 1], len(places) // 2)
        assert np.hypot(*common_translations(places, class_id)[0]) == pytest.approx(20, rel=0.02)
        assert np.hypot(*common_translations(places, one_class(places))[0]) == pytest.approx(14.1, rel=0.02)

    def test_scattered_points_and_too_few_have_none(self) -> None:
        scattered = np.random.default_rng(1).uniform(0, 300, (200, 2))
        assert len(common_translations(scattered, one_class(scattered))) == 0
        assert common_translations(scattered[:5], one_class(scattered[:5])).shape == (0, 2)

    def test_partners_are_the_columns_one_translation_away(self) -> None:
        places = square(turn_rad=0)
        before, behind = partners(places, one_class(places), np.array([[0.0, 20.0]]))
        assert (before[0] >= 0).sum() == (behind[0] >= 0).sum() == 12 * 11
        row = int(np.flatnonzero(before[0] >= 0)[0])
        np.testing.assert_allclose(places[row] - places[before[0, row]], [0, 20])

    def test_two_of_them_span_the_others(self) -> None:
        common = np.array([[0.0, 20.0], [0.5, 40.0], [-20.0, 1.0]])
        spanned = lattice_translations(common, 12)
        assert spanned.shape == (12, 2)
        lengths = np.hypot(*spanned.T)
        assert (np.diff(lengths) >= 0).all()
        assert lengths[-1] < 3 * 20
        whole = np.linalg.solve(common[[0, 2]].T, spanned.T)
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-12)
        assert len({(*np.abs(pair), pair[0] * pair[1] > 0) for pair in np.rint(whole).T}) == 12

    def test_parallel_ones_and_none_span_nothing(self) -> None:
        assert lattice_translations(np.array([[0.0, 20.0], [0.5, 40.0]]), 12).shape == (0, 2)
        assert lattice_translations(np.empty((0, 2)), 12).shape == (0, 2)


class TestSettled:
    @pytest.mark.parametrize("places", [square(), honeycomb()], ids=["square", "honeycomb"])
    def test_noise_is_less_than_half_as_large(self, places: np.ndarray) -> None:
        seen = noisy(places)
        after = settled(seen, one_class(places), NOISE_PX**2)
        inner = np.all(np.abs(places - places.mean(axis=0)) < 0.35 * np.ptp(places, axis=0), axis=1)
        assert rms((after - places)[inner]) < 0.5 * rms((seen - places)[inner])

    def test_strain_and_shear_are_kept(self) -> None:
        places = (square() - 300) @ np.array([[1.05, 0.02], [0.06, 0.97]]) + 300
        after = settled(noisy(places), one_class(places), NOISE_PX**2)
        assert rms(after - places) < 0.7 * NOISE_PX

    def test_a_column_that_is_really_displaced_stays_and_does_not_pull_at_others(self) -> None:
        places = square()
        places[66] += [3.0, 0.0]
        seen = noisy(places)
        after = settled(seen, one_class(places), NOISE_PX**2)
        np.testing.assert_array_equal(after[66], seen[66])
        assert rms(after[[65, 67]] - places[[65, 67]]) < NOISE_PX

    def test_disorder_beyond_the_noise_is_kept(self) -> None:
        places = square() + np.random.default_rng(7).normal(0, 1.6, (144, 2))
        seen = noisy(places)
        after = settled(seen, one_class(places), NOISE_PX**2)
        assert rms(after - places) < 1.1 * rms(seen - places)

    def test_each_axis_is_taken_for_itself(self) -> None:
        along_y, along_x = [], []
        for seed in range(8):
            places = square(turn_rad=0)
            places[:, 1] += np.repeat(np.random.default_rng(seed).normal(0, 3.0, 12), 12)
            seen = noisy(places, seed + 50)
            after = settled(seen, one_class(places), NOISE_PX**2)
            before = rms((seen - places)[:, 1])
            along_y.append(rms((after - places)[:, 0]) / NOISE_PX)
            along_x.append(rms((after - places)[:, 1]) / before)
        assert max(along_y) < 0.5
        assert np.mean(along_x) < 1.1, "rows that are displaced as a whole stay where they are"

    def test_columns_at_the_edge_of_a_crystal_gain_too(self) -> None:
        places = square()
        gained = []
        for seed in range(4):
            seen = noisy(places, seed)
            after = settled(seen, one_class(places), NOISE_PX**2)
            edge = [row for row in range(144) if row % 12 in (0, 11) or row < 12 or row >= 132]
            gained.append(rms((after - places)[edge]) / rms((seen - places)[edge]))
        assert max(gained) < 0.7

    def test_nothing_moves_without_noise_or_without_a_lattice(self) -> None:
        places = noisy(square())
        np.testing.assert_array_equal(settled(places, one_class(places), 0.0), places)
        scattered = np.random.default_rng(1).uniform(0, 300, (200, 2))
        np.testing.assert_array_equal(settled(scattered, one_class(scattered), 0.2), scattered)
        assert settled(np.empty((0, 2)), np.empty(0, np.int8), 0.2).shape == (0, 2)


class TestPrior:
    def test_the_line_that_was_there_is_found(self) -> None:
        power = np.geomspace(0.01, 0.1, 9)
        prior = fit_lattice_prior(power, 3.0 * power**1.5)
        assert prior is not None
        assert prior.variance_px2(0.05) == pytest.approx(3.0 * 0.05**1.5)
        assert prior.variance_px2(1.0) == pytest.approx(3.0 * 0.1**1.5), "no word beyond what was seen"
        assert prior.variance_px2(0.001) == 0, "a frame that was smoothed stays as it is"

    def test_too_few_frames_give_none(self) -> None:
        assert fit_lattice_prior(np.full(4, 0.1), np.full(4, 0.1)) is None

    def test_it_travels_in_decoding(self) -> None:
        prior = LatticePrior(shift=-1, slope=1, smallest_power=0.01, largest_power=0.1)
        decoding = Decoding(lattice_prior=prior)
        assert Decoding.model_validate_json(decoding.model_dump_json()) == decoding
        assert Decoding.model_validate({"threshold": 0.4}).lattice_prior is None

    def test_an_impossible_range_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="smallest_power"):
            LatticePrior(shift=0, slope=1, smallest_power=2, largest_power=1)


def test_targets_and_priors_speak_of_the_same_pixels() -> None:
    # A peak drawn at a place is found there: otherwise neighbours would all be off in the same way.
    assert heat_maps(np.array([[7.0, 9.0, 0]]), (20, 20), 1)[0, 7, 9] == 1
