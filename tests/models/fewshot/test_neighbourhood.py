"""What neighbours add to a chip: regions that change gradually stay whole, interfaces stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.fewshot import (
    ChipGrid,
    Chips,
    FewShotModel,
    Neighbourhood,
    SupportSet,
    cut_chips,
    open_encoder,
)
from eucentric_models.fewshot._survey import PLACINGS, Survey

SIDE = 8


def _grid(rows: int, columns: int) -> Chips:
    frame = np.random.default_rng(0).random((rows * SIDE, columns * SIDE))
    return cut_chips(frame, ChipGrid(chip_px=SIDE))


def _unit(angles_rad: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.stack([np.cos(angles_rad), np.sin(angles_rad)], axis=1).astype(np.float32)


def test_a_chip_among_chips_alike_is_what_they_are() -> None:
    chips = _grid(5, 5)
    alike = _unit(np.random.default_rng(1).normal(0, 0.1, 25))
    said = np.tile(np.array([0.9, 0.1], np.float32), (25, 1))
    said[12] = (0.4, 0.6)
    found = Neighbourhood.of(chips, alike).smoothed(said)
    assert (found.argmax(axis=1) == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_region_as_small_as_a_chip_that_looks_different_stays() -> None:
    chips = _grid(5, 5)
    angles = np.random.default_rng(1).normal(0, 0.1, 25)
    angles[12] = 1.5
    said = np.tile(np.array([0.95, 0.05], np.float32), (25, 1))
    said[12] = (0.3, 0.7)
    found = Neighbourhood.of(chips, _unit(angles)).smoothed(said)
    assert found[12].argmax() == 1
    assert (np.delete(found, 12, axis=0).argmax(axis=1) == 0).all()


def test_an_interface_stays_where_it_is() -> None:
    chips = _grid(6, 6)
    right = chips.columns >= 3
    angles = np.where(right, 1.2, 0.0) + np.random.default_rng(2).normal(0, 0.1, 36)
    said = np.where(right[:, None], [0.2, 0.8], [0.8, 0.2]).astype(np.float32)
    found = Neighbourhood.of(chips, _unit(angles)).smoothed(said)
    np.testing.assert_array_equal(found.argmax(axis=1), right.astype(int))


def test_without_smoothness_every_chip_speaks_for_itself() -> None:
    chips = _grid(3, 4)
    said = np.random.default_rng(3).dirichlet([1, 1, 1], 12).astype(np.float32)
    vectors = _unit(np.linspace(0, 1, 12))
    found = Neighbourhood.of(chips, vectors, 0).smoothed(said)
    np.testing.assert_array_equal(found.argmax(axis=1), said.argmax(axis=1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 1)])
def test_grids_of_one_row_or_one_chip_are_grids_too(shape: tuple[int, int]) -> None:
    chips = _grid(*shape)
    said = np.tile(np.array([0.6, 0.4], np.float32), (len(chips), 1))
    same = _unit(np.zeros(len(chips)))
    found = Neighbourhood.of(chips, same).smoothed(said)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == 0).all()


def test_more_chips_of_simulated_specimens_find_their_class_among_neighbours() -> None:
    encoder = open_encoder("handmade")
    alone, among = [], []
    # Small images of a seed that no number was chosen on.
    for index in (0, 16):
        survey = Survey.draw(909, index)
        vectors = encoder.embed(survey.chips.pixels)
        for kind, placing in enumerate(PLACINGS):
            support = survey.support(placing, np.random.default_rng((index, kind)))
            if support is None:
                continue
            places = [
                (int(survey.chips.rows[chip]), int(survey.chips.columns[chip])) for chip in support.chips
            ]
            chosen = {
                str(label): [
                    place for place, own in zip(places, support.class_id, strict=True) if own == label
                ]
                for label in np.unique(support.class_id)
            }
            model = FewShotModel(SupportSet.build(encoder, survey.chips, chosen), encoder)
            labels = survey.labels(support)
            judged = labels >= 0
            alone.append((model.classify(vectors).nearest == labels)[judged].mean())
            found = model.class_map(survey.chips, vectors)
            among.append((found.classification.nearest == labels)[judged].mean())
            changed = found.changed[judged].mean()
            assert changed <= 0.5
    assert len(alone) >= 4
    assert np.mean(among) > np.mean(alone)
