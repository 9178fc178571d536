"""A column that the edge cuts is one column."""

from __future__ import annotations

import numpy as np

from eucentric_models import Detections
from eucentric_models.edge_doubles import without_edge_doubles

SHAPE = (100, 120)


def found(*extra: tuple[float, float], spacing: float = 20.0) -> Detections:
    places = np.stack(np.meshgrid(np.arange(10, 100, spacing), np.arange(10, 120, spacing)), -1).reshape(
        -1, 2
    )
    places = np.concatenate([places, np.array(extra).reshape(-1, 2)]).astype(np.float32)
    confidence = np.linspace(0.9, 0.3, len(places)).astype(np.float32)
    return Detections(places, np.zeros(len(places), np.int8), confidence)


def test_of_two_at_the_edge_the_surer_one_stays() -> None:
    twice = found((30.0, 117.0), (33.0, 118.5))
    once = without_edge_doubles(twice, SHAPE)
    assert len(once) == len(twice) - 2
    np.testing.assert_array_equal(once.positions_px, twice.positions_px[:-2])


def test_pairs_inside_the_frame_stay() -> None:
    dumbbells = found((50.0, 54.0))
    assert len(without_edge_doubles(dumbbells, SHAPE)) == len(dumbbells)


def test_columns_near_the_edge_that_are_as_far_apart_as_others_stay() -> None:
    single = found((2.0, 20.0), (98.0, 20.0))
    assert len(without_edge_doubles(single, SHAPE)) == len(single)


def test_too_few_to_know_what_is_usual_stay() -> None:
    few = Detections(np.zeros((3, 2), np.float32), np.zeros(3, np.int8), np.ones(3, np.float32))
    assert without_edge_doubles(few, SHAPE) is few
