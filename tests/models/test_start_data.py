from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_models import (
    DEMO_CONDITIONS,
    MATERIALS,
    START_MATERIALS,
    ConditionsSpread,
    ImagingConditions,
    ProjectedLattice,
    StartConditions,
    UnknownCrystal,
    UnknownMaterialError,
    conditions_for,
    draw_lattice,
    simulate_frames,
    start_material_named,
    vary_conditions,
)

PIXEL_M = 12.7e-12
DISTANCES_M = (0.13e-9, 0.42e-9)


def distances_m(positions_m: np.ndarray) -> np.ndarray:
    offsets = positions_m[:, None] - positions_m[None]
    distance = np.hypot(offsets[..., 0], offsets[..., 1])
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=1)


class TestLattices:
    def test_a_square_lattice_fills_the_field_at_its_spacing_whatever_its_rotation(self) -> None:
        lattice = ProjectedLattice(np.eye(2) * 4e-10, np.zeros((1, 2)), np.ones(1))
        for rotation in (0.0, 0.4, 2.0):
            position, strength = lattice.fill((8e-9, 4e-9), rotation, np.array([0.3, 0.7]))
            np.testing.assert_allclose(distances_m(position), 4e-10, rtol=1e-9)
            assert len(position) == len(strength) == pytest.approx(8e-9 * 4e-9 / 4e-10**2, rel=0.1)
            assert (np.abs(position) <= [4e-9, 2e-9]).all()

    def test_scaling_sets_the_distance_of_the_closest_columns(self) -> None:
        perovskite = ProjectedLattice(
            np.eye(2) * 3.9e-10, np.array([[0, 0], [0.5, 0.5]]), np.array([1.0, 0.4])
        )
        assert perovskite.shortest_distance_m == pytest.approx(3.9e-10 / np.sqrt(2))
        assert perovskite.scaled_to(2e-10).shortest_distance_m == pytest.approx(2e-10)

    def test_drawn_lattices_keep_to_their_bounds_and_differ_in_kind(self) -> None:
        rng = np.random.default_rng(1)
        drawn = [draw_lattice(rng, shortest_distance_m=DISTANCES_M, weakest=0.2) for _ in range(200)]
        shortest = np.array([lattice.shortest_distance_m for lattice in drawn])
        assert (shortest >= DISTANCES_M[0] * 0.999).all()
        assert (shortest <= DISTANCES_M[1] * 1.001).all()
        assert {len(lattice.basis) for lattice in drawn} == {1, 2}
        assert min(lattice.strength.min() for lattice in drawn) >= 0.2
        lengths = [np.hypot(*lattice.vectors_m.T) for lattice in drawn]
        cosines = np.array(
            [
                lattice.vectors_m[0] @ lattice.vectors_m[1] / a.prod()
                for lattice, a in zip(drawn, lengths, strict=True)
            ]
        )
        ratios = np.array([a[1] / a[0] for a in lengths])
        square = (np.abs(cosines) < 1e-9) & (np.abs(ratios - 1) < 1e-9)
        hexagonal = (np.abs(cosines - 0.5) < 1e-9) & (np.abs(ratios - 1) < 1e-9)
        assert square.any()
        assert hexagonal.any()
        assert (~square & ~hexagonal).any()


class TestUnknownCrystals:
    def test_columns_are_brighter_than_their_surroundings(self) -> None:
        conditions = conditions_for(PIXEL_M)
        contrasts = []
        for frame, truth, _ in simulate_frames(
            "columns", conditions.initial, 12, conditions.shape, np.random.default_rng(2)
        ):
            places = np.rint(truth[truth[:, 2] == 0, :2]).astype(int)
            contrasts.append((frame[places[:, 0], places[:, 1]].mean() - np.median(frame)) / frame.std())
        assert min(contrasts) > 0.3

    def test_labelled_columns_are_resolved(self) -> None:
        conditions = conditions_for(PIXEL_M)
        resolved_m = 2 * conditions.initial.probe_sigma_m
        for _, truth, actual in simulate_frames(
            "columns", conditions.initial, 12, conditions.shape, np.random.default_rng(3)
        ):
            nearest = distances_m(truth[:, :2] * actual.pixel_size_m)
            assert np.percentile(nearest, 5) > resolved_m

    def test_columns_that_drown_in_noise_are_not_demanded(self) -> None:
        conditions = conditions_for(PIXEL_M)
        bright, dim = (
            conditions.initial.model_copy(update={"beam_current_a": current}) for current in (1e-9, 1e-14)
        )

        def demanded(imaging: ImagingConditions) -> float:
            frames = simulate_frames("columns", imaging, 8, (128, 128), np.random.default_rng(4))
            return float(np.mean(np.concatenate([frame.truth[:, 2] == 0 for frame in frames])))

        assert demanded(bright) > 0.95
        assert demanded(dim) < 0.3

    def test_some_frames_have_regions_without_columns(self) -> None:
        edged = UnknownCrystal(edge_share=1.0, two_grains_share=0.0)
        conditions = conditions_for(PIXEL_M)
        rng = np.random.default_rng(5)
        widest = []
        for _ in range(5):
            truth = edged.simulate(conditions.initial, (256, 256), rng).truth
            grid = np.stack(np.meshgrid(np.arange(0, 256, 8), np.arange(0, 256, 8), indexing="ij"), -1)
            to_column = np.hypot(*np.moveaxis(grid[:, :, None] - truth[:, :2], -1, 0)).min(axis=2)
            widest.append(to_column.max() * PIXEL_M)
        assert np.median(widest) > 0.5e-9

    def test_the_same_generator_state_gives_the_same_frames(self) -> None:
        conditions = conditions_for(PIXEL_M)
        first, second = (
            simulate_frames(
                "columns",
                conditions.initial,
                2,
                (96, 64),
                np.random.default_rng(6),
                spread=conditions.start_spread,
            )
            for _ in range(2)
        )
        for one, other in zip(first, second, strict=True):
            assert one.frame.shape == (96, 64)
            np.testing.assert_array_equal(one.frame, other.frame)
            np.testing.assert_array_equal(one.truth, other.truth)


class TestStartMaterials:
    def test_every_material_can_be_started_with_and_names_vacancies_last(self) -> None:
        assert set(START_MATERIALS) == {*MATERIALS, "columns"}
        for name, material in START_MATERIALS.items():
            assert material.name == name
            assert material.classes[: len(material.detectable_classes)] == material.detectable_classes
            assert material.classes[-1] == "vacancy"

    def test_an_unknown_one_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(UnknownMaterialError, match="unobtainium") as caught:
            start_material_named("unobtainium")
        assert "columns" in caught.value.next_step


class TestStartConditions:
    def test_conditions_survive_json(self) -> None:
        for conditions in (conditions_for(PIXEL_M), DEMO_CONDITIONS):
            again = type(conditions).model_validate_json(conditions.model_dump_json())
            assert again == conditions
        with pytest.raises(ValidationError):
            StartConditions.model_validate({**conditions_for(PIXEL_M).model_dump(), "drift": 1})

    def test_a_network_sees_the_same_neighbourhood_at_any_magnification(self) -> None:
        for pixel_m in (5e-12, 7.8e-12, 12.7e-12, 25e-12, 45e-12):
            conditions = conditions_for(pixel_m)
            folded_m = conditions.network.stem_factor * pixel_m
            assert 37e-12 < folded_m <= 75e-12
            assert conditions.initial.pixel_size_m == pixel_m
            assert conditions.decoding.peak_sigma_px >= 1

    def test_frames_in_which_no_column_can_be_seen_are_refused(self) -> None:
        for pixel_m in (1e-13, 1e-9):
            with pytest.raises(ValueError, match="pixel_size_m"):
                conditions_for(pixel_m)

    def test_conditions_scatter_within_their_spread(self) -> None:
        centre = conditions_for(PIXEL_M).initial
        spread = ConditionsSpread(
            pixel_size=0.1, probe_width=0.3, beam_current=2.0, defocus_m=0, jitter_rms_px=0.5
        )
        rng = np.random.default_rng(7)
        varied = [vary_conditions(centre, spread, rng) for _ in range(300)]
        for name, width in (("pixel_size_m", 0.1), ("probe_sigma_m", 0.3), ("beam_current_a", 2.0)):
            logs = np.log([getattr(one, name) / getattr(centre, name) for one in varied])
            assert 0.9 * width < np.abs(logs).max() <= width
        jitter = np.array([one.jitter_rms_px for one in varied])
        assert jitter.min() >= 0
        assert 0.45 < jitter.max() <= 0.5
