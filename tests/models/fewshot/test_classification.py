"""From a few chips of each texture to a class map."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.fewshot import (
    NONE_OF_THESE,
    ChipEncoder,
    ChipGrid,
    FewShotModel,
    PrototypeClassifier,
    SupportSet,
    SupportSetError,
    check_support,
    cut_chips,
    open_encoder,
)
from eucentric_models.fewshot.textures import Texture

from .scenes import CHIP_PX, FILM, FRINGES, IMAGING, LATTICE, OTHER_LATTICE, Scene, scene, support_of


@pytest.fixture(scope="module")
def encoder() -> ChipEncoder:
    return open_encoder()


@pytest.fixture(scope="module")
def three() -> Scene:
    return scene()


@pytest.fixture(scope="module")
def embedded(three: Scene, encoder: ChipEncoder) -> NDArray[np.float32]:
    return encoder.embed(three.chips.pixels)


@pytest.fixture(scope="module")
def support(three: Scene, encoder: ChipEncoder) -> SupportSet:
    return support_of(three, encoder)


def test_three_textures_are_told_apart_by_three_chips_of_each(
    three: Scene, support: SupportSet, encoder: ChipEncoder, embedded: NDArray[np.float32]
) -> None:
    found = FewShotModel(support, encoder).class_map(three.chips, embedded)
    assert (found.class_id == three.truth).mean() >= 0.95
    assert found.grid().shape == (6, 9)
    assert (found.grid()[:, :3] == 0).mean() >= 0.9
    for share in found.shares[:3]:
        assert share.area_fraction_low <= share.area_fraction <= share.area_fraction_high
        assert share.area_fraction == pytest.approx(1 / 3, abs=0.06)
        assert share.area_nm2 is None
    assert sum(share.chips for share in found.shares) == len(three.chips)


def test_two_chips_of_each_are_enough_to_answer(
    three: Scene, encoder: ChipEncoder, embedded: NDArray[np.float32]
) -> None:
    model = FewShotModel(support_of(three, encoder, chips=2), encoder, false_reject_rate=0)
    assert (model.classify(embedded).class_id == three.truth).mean() >= 0.9


def test_a_texture_without_support_chips_is_none_of_these(
    three: Scene, encoder: ChipEncoder, embedded: NDArray[np.float32]
) -> None:
    two = support_of(three, encoder, chips=4, names="ab")
    found = FewShotModel(two, encoder).class_map(three.chips, embedded)
    none = found.classes.index(NONE_OF_THESE)
    assert (found.class_id[three.truth == 2] == none).mean() >= 0.9
    assert (found.class_id[three.truth < 2] == none).mean() <= 0.06
    certain = FewShotModel(two, encoder, false_reject_rate=0).class_map(three.chips, embedded)
    assert not (certain.class_id == none).any()


def test_false_rejects_are_about_as_many_as_declared(encoder: ChipEncoder) -> None:
    declared = np.array([0.05, 0.1, 0.2, 0.4])
    rejected = []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        one = scene((LATTICE, OTHER_LATTICE), rows=5, columns=4, seed=seed)
        vectors, ids = encoder.embed(one.chips.pixels), one.truth
        kept = np.concatenate([rng.choice(np.flatnonzero(ids == index), 5, False) for index in (0, 1)])
        rest = np.setdiff1d(np.arange(len(ids)), kept)
        typicality = PrototypeClassifier.fit(vectors[kept], ids[kept]).classify(vectors[rest], 0).typicality
        rejected.append((typicality[:, None] < declared).mean(axis=0))
    # A single support set meets the rate badly: from none to three times as many.
    found = np.mean(rejected, axis=0)
    assert (found >= 0.5 * declared).all()
    assert (found <= 1.5 * declared).all()


def test_what_the_answer_says_of_itself_is_consistent(
    three: Scene, support: SupportSet, encoder: ChipEncoder, embedded: NDArray[np.float32]
) -> None:
    model = FewShotModel(support, encoder)
    first, second = model.classify(embedded), model.classify(embedded)
    np.testing.assert_array_equal(first.distances, second.distances)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (first.probabilities.argmax(axis=1) == first.nearest).all()
    assert ((first.distances >= 0) & (first.distances <= 2)).all()
    bounds = model.classifier.reject_distances(0.005)
    rejected = first.distances.min(axis=1) > bounds[first.nearest]
    np.testing.assert_array_equal(rejected, first.class_id < 0)


class TestACheckOfTheSupportSet:
    def test_finds_nothing_where_nothing_is_wrong(self, support: SupportSet) -> None:
        report = check_support(support)
        assert (report.recognised, report.doubts) == (9, ())
        assert report.sentences == ("9 of 9 support chips are recognised when left out.",)

    def test_names_the_chip_in_the_wrong_class_and_no_other(self, three: Scene, encoder: ChipEncoder) -> None:
        places = {name: three.places(index, 3) for index, name in enumerate("abc")}
        wrong = next(place for place in three.places(1, 5) if place not in places["b"])
        spoiled = SupportSet.build(encoder, three.chips, {**places, "a": [*places["a"], wrong]})
        report = check_support(spoiled)
        (doubt,) = report.doubts
        assert (doubt.kind, doubt.label, doubt.looks_like) == ("misplaced", "a", "b")
        assert (spoiled.chips[doubt.index].row, spoiled.chips[doubt.index].column) == wrong
        assert f"row {wrong[0]}, column {wrong[1]}" in doubt.sentence
        assert "looks like 'b' rather than 'a'" in doubt.sentence
        mended = spoiled.without(doubt.index)
        assert check_support(mended).doubts == ()

    def test_says_that_two_classes_are_one(self, three: Scene, encoder: ChipEncoder) -> None:
        places = three.places(0, 6)
        same = SupportSet.build(encoder, three.chips, {"a": places[::2], "b": places[1::2]})
        assert check_support(same).doubts


class TestOtherFrames:
    def test_of_another_magnification_are_cut_by_nanometres(self, encoder: ChipEncoder) -> None:
        one = scene((LATTICE, FRINGES), rows=4, columns=3)
        calibrated = cut_chips(one.image, ChipGrid(chip_nm=6.4), pixel_size_m=0.1e-9)
        places = {name: one.places(index, 3) for index, name in enumerate("ab")}
        model = FewShotModel(SupportSet.build(encoder, calibrated, places), encoder, false_reject_rate=0)
        enlarged = np.kron(one.image, np.ones((2, 2), np.float32))
        chips = cut_chips(enlarged, ChipGrid(chip_nm=6.4), pixel_size_m=0.05e-9)
        assert chips.side_px == 2 * CHIP_PX
        found = model.class_map(chips)
        assert (found.class_id == one.truth).mean() >= 0.95
        assert found.shares[0].area_nm2 == pytest.approx(12 * 6.4**2, rel=0.1)

    def test_whose_structure_is_turned_are_not_the_same_texture_unless_it_has_no_direction(
        self, encoder: ChipEncoder
    ) -> None:
        one = scene((FRINGES, FILM), rows=4, columns=3)
        model = FewShotModel(support_of(one, encoder, chips=5, names="ab"), encoder)
        turned = np.ascontiguousarray(one.chips.pixels.transpose(0, 2, 1)[:, ::-1])
        found = model.classify(encoder.embed(turned))
        assert (found.class_id[one.truth == 0] == 0).mean() <= 0.1
        assert (found.nearest[one.truth == 1] == 1).mean() >= 0.9

    def test_of_a_brighter_detector_setting_give_the_same_map(
        self, three: Scene, support: SupportSet, encoder: ChipEncoder, embedded: NDArray[np.float32]
    ) -> None:
        brighter = cut_chips(3.5 * three.image + 200, ChipGrid(chip_px=CHIP_PX))
        found = FewShotModel(support, encoder).class_map(brighter)
        expected = FewShotModel(support, encoder).class_map(three.chips, embedded)
        assert (found.class_id == expected.class_id).mean() >= 0.98

    def test_are_told_apart_by_brightness_alone_where_that_is_all_there_is(
        self, encoder: ChipEncoder
    ) -> None:
        rng = np.random.default_rng(8)
        band = (5 * CHIP_PX, 2 * CHIP_PX)
        signal = np.concatenate([Texture(FILM, level, 0.04).draw(band, rng) for level in (0.3, 0.6)], axis=1)
        chips = cut_chips(IMAGING.expose(signal, rng), ChipGrid(chip_px=CHIP_PX))
        chosen = {"thin": [(0, 0), (2, 1), (4, 0)], "thick": [(0, 2), (2, 3), (4, 2)]}
        model = FewShotModel(SupportSet.build(encoder, chips, chosen), encoder, false_reject_rate=0)
        assert (model.class_map(chips).class_id == chips.columns // 2).all()


def test_a_table_holds_every_chip_with_all_distances(
    three: Scene, support: SupportSet, encoder: ChipEncoder, embedded: NDArray[np.float32], tmp_path: Path
) -> None:
    found = FewShotModel(support, encoder).class_map(three.chips, embedded)
    found.write_csv(tmp_path / "map.csv")
    with (tmp_path / "map.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(three.chips)
    first = rows[0]
    assert (first["row"], first["column"], first["y_px"]) == ("0", "0", "31.5")
    assert first["class"] in found.classes
    distances = [float(first[f"distance {name}"]) for name in "abc"]
    np.testing.assert_allclose(distances, found.classification.distances[0], rtol=1e-5)


def test_embeddings_of_two_encoders_are_never_compared(support: SupportSet) -> None:
    other = open_encoder("handmade")
    with pytest.raises(SupportSetError, match="was embedded by"):
        FewShotModel(support, other)
    assert FewShotModel(support.embedded_by(other), other).support.encoder == other.version
    with pytest.raises(SupportSetError, match="holds no pixels"):
        support.without_pixels().embedded_by(other)
