"""What a frame adds to a support set: prototypes follow the classes that it shows, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.fewshot import ChipGrid, Chips, cut_chips
from eucentric_models.fewshot._encoder import unit_rows
from eucentric_models.fewshot._frame_context import FrameContext

SIDE = 8
DIMENSION = 16


def _grid(rows: int, columns: int) -> Chips:
    frame = np.random.default_rng(0).random((rows * SIDE, columns * SIDE))
    return cut_chips(frame, ChipGrid(chip_px=SIDE))


def _around(centre: NDArray[np.floating], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return unit_rows(centre + rng.normal(0, 0.05, (count, DIMENSION)))


def _axis(index: int, towards: int | None = None, part: float = 0.0) -> NDArray[np.float64]:
    centre = np.eye(DIMENSION)[index] * (1 - part)
    return centre if towards is None else centre + part * np.eye(DIMENSION)[towards]


def _answer(
    chips: Chips, vectors: NDArray[np.float32], support: NDArray[np.float32], smoothness: float = 0.6
) -> NDArray[np.intp]:
    class_id = np.repeat([0, 1], len(support) // 2)
    context = FrameContext(chips, vectors, support, class_id, smoothness)
    found = context.probabilities(support, class_id)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    return found.argmax(axis=1)


def test_a_class_that_looks_otherwise_than_its_support_chips_is_found_whole() -> None:
    rng = np.random.default_rng(1)
    chips = _grid(8, 8)
    right = chips.columns >= 4
    # Support chips of the second class are from a spot that shows something else besides (axis 2).
    support = np.concatenate([_around(_axis(0), 4, rng), _around(_axis(1, 2, 0.55), 4, rng)])
    # It becomes fainter towards the interface.
    fainter = np.clip(0.48 - 0.12 * (chips.columns - 4), 0, None)
    second = np.concatenate([_around(_axis(1, 0, float(part)), 1, rng) for part in fainter])
    vectors = np.where(right[:, None], second, _around(_axis(0, 1, 0.1), 64, rng))
    by_itself = _answer(chips, vectors, support, smoothness=0)
    in_the_frame = _answer(chips, vectors, support)
    assert (by_itself == right).mean() < 1
    assert (in_the_frame == right).mean() > (by_itself == right).mean()


def test_a_class_that_the_frame_does_not_show_is_not_made_of_mistakes() -> None:
    rng = np.random.default_rng(2)
    chips = _grid(6, 6)
    support = np.concatenate([_around(_axis(0), 4, rng), _around(_axis(1), 4, rng)])
    vectors = _around(_axis(0), 36, rng)
    # Six chips of the first class look rather like the second: fewer than would move its prototype.
    vectors[[0, 5, 14, 21, 30, 35]] = _around(_axis(1, 0, 0.45), 6, rng)
    vectors[[1, 6, 20]] = _around(_axis(0, 1, 0.4), 3, rng)
    found = _answer(chips, vectors, support)
    assert (found[np.setdiff1d(np.arange(36), [0, 5, 14, 21, 30, 35])] == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2)])
def test_a_frame_of_few_chips_is_answered_by_the_support_chips(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    chips = _grid(*shape)
    support = np.concatenate([_around(_axis(0), 3, rng), _around(_axis(1), 3, rng)])
    assert (_answer(chips, _around(_axis(1), len(chips), rng), support) == 1).all()


def test_where_a_class_is_common_to_support_and_frame_nothing_changes() -> None:
    rng = np.random.default_rng(4)
    chips = _grid(8, 8)
    right = chips.columns >= 4
    support = np.concatenate([_around(_axis(0), 4, rng), _around(_axis(1), 4, rng)])
    vectors = np.where(right[:, None], _around(_axis(1), 64, rng), _around(_axis(0), 64, rng))
    for smoothness in (0, 0.6, 10):
        np.testing.assert_array_equal(_answer(chips, vectors, support, smoothness), right.astype(int))
