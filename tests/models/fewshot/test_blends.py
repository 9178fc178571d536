"""Where one class ends and another begins: chips that are half of each."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.fewshot import ChipEncoder, ChipGrid, FewShotModel, SupportSet, cut_chips, open_encoder
from eucentric_models.fewshot._blends import BELIEVED, MOST_BLENDS, Blends, coupled, half_and_half
from eucentric_models.fewshot._encoder import unit_rows
from eucentric_models.fewshot._prototypes import probabilities_at
from eucentric_models.fewshot.textures import FringeField, TextureImaging

SIDE_PX = 32


@pytest.fixture(scope="module")
def encoder() -> ChipEncoder:
    return open_encoder("handmade")


def _flattened(chips: NDArray[np.float32]) -> NDArray[np.float32]:
    return unit_rows(chips.reshape(len(chips), -1))


def _support(classes: int, shots: int = 3) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    pixels = np.random.default_rng(0).random((classes * shots, 8, 8), dtype=np.float32)
    return pixels, np.repeat(np.arange(classes), shots)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_every_two_classes_are_blended_and_their_number_is_bounded(classes: int) -> None:
    blends = Blends.of(_flattened, *_support(classes))
    assert blends is not None
    assert len(blends.vectors) <= MOST_BLENDS
    pairs = set(zip(blends.first.tolist(), blends.second.tolist(), strict=True))
    assert len(pairs) == classes * (classes - 1) // 2


def test_too_many_classes_are_left_as_they_are() -> None:
    assert Blends.of(_flattened, *_support(9)) is None


def test_a_blend_has_the_mean_and_the_noise_of_its_parts() -> None:
    rng = np.random.default_rng(1)
    dark, bright = (rng.normal(level, 0.2, (128, 128)).astype(np.float32) for level in (0.2, 0.8))
    blend = half_and_half(dark, bright, rng)
    assert blend.mean() == pytest.approx(0.5, abs=0.01)
    # The mean of both alone would have 0.14.
    assert blend.std() == pytest.approx(0.2, rel=0.1)


def test_offsets_are_antisymmetric_and_only_believed_where_blends_agree() -> None:
    pixels, class_id = _support(3)
    blends = Blends.of(_flattened, pixels, class_id)
    assert blends is not None
    rng = np.random.default_rng(2)
    distances = rng.normal(0.5, 0.3, (len(blends.vectors), 3))
    agreeing = (blends.first == 0) & (blends.second == 2)
    distances[agreeing, 0], distances[agreeing, 2] = 0.3, 0.5
    offsets = blends.offsets(distances.astype(np.float32))
    np.testing.assert_allclose(offsets, -offsets.T)
    assert offsets[0, 2] == pytest.approx(BELIEVED * 0.2, abs=1e-3)
    assert abs(offsets[0, 1]) < 0.3


def test_without_offsets_pairs_are_coupled_to_the_softmax() -> None:
    distances = np.random.default_rng(3).random((20, 4), dtype=np.float32)
    found = coupled(distances, np.zeros((4, 4)), 0.2)
    np.testing.assert_allclose(found, probabilities_at(distances, 0.2), rtol=1e-4, atol=1e-6)


def test_with_an_offset_two_classes_are_as_likely_where_it_is_met() -> None:
    distances = np.array([[0.2, 0.5], [0.2, 0.4], [0.2, 0.6]], np.float32)
    offsets = np.array([[0.0, 0.3], [-0.3, 0.0]])
    found = coupled(distances, offsets, 0.05)
    np.testing.assert_allclose(found[0], 0.5, atol=1e-5)
    assert found[1, 1] > 0.5
    assert found[2, 0] > 0.5
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_fringes_that_fade_end_nearer_to_where_half_of_them_is_left(encoder: ChipEncoder) -> None:
    rows, columns = 16, 8
    shape = (rows * SIDE_PX, columns * SIDE_PX)
    rng = np.random.default_rng(5)
    share = np.clip((np.arange(rows) - 3) / 9, 0, 1)
    field = FringeField((8.0, 8.0), (0.3, 0.3), (1.0, 0.0), 0.0).draw(shape, rng)
    signal = 0.4 + 0.15 * np.repeat(share, SIDE_PX)[:, None] * field
    image = TextureImaging(100, 0, 0, 0, 0, 0, 0, 0, inverted=False).expose(signal, rng)
    chips = cut_chips(image, ChipGrid(chip_px=SIDE_PX))
    chosen = {"cover": [(0, 1), (1, 4), (2, 6)], "film": [(13, 2), (14, 5), (15, 0)]}
    support = SupportSet.build(encoder, chips, chosen)
    with_pixels = FewShotModel(support, encoder).class_map(chips)
    without = FewShotModel(support.model_copy(update={"pixels": None}), encoder).class_map(chips)
    truth = (share > 0.5)[chips.rows].astype(int)
    right, right_without = (
        (found.classification.nearest == truth).mean() for found in (with_pixels, without)
    )
    assert right_without < 0.95
    assert right > right_without


def test_the_same_support_chips_make_the_same_blends(encoder: ChipEncoder) -> None:
    pixels, class_id = _support(2)
    blends = Blends.of(encoder.embed, pixels, class_id)
    again = Blends.of(encoder.embed, pixels, class_id)
    other = Blends.of(encoder.embed, 1 - pixels, class_id)
    assert blends is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(blends.vectors, again.vectors)
    assert not np.array_equal(blends.vectors, other.vectors)
