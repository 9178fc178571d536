"""The engine `chips`, beyond what holds for every engine (tests/models/test_engines.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucentric_models import DriftReferenceError
from eucentric_models.engines import EngineError, read_description, shipped_folder, write_model_folder
from eucentric_models.fewshot import (
    CHIPS,
    NONE_OF_THESE,
    ChipsModel,
    FewShotModel,
    RejectReference,
    open_encoder,
)

from .scenes import FILM, FRINGES, LATTICE, Scene, chips_draft, scene, support_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ChipsModel:
    folder = tmp_path_factory.mktemp("chips")
    description = write_model_folder(folder / "model", chips_draft(folder), name="tried", version=1)
    return CHIPS.open(folder / "model", description)


def shipped() -> ChipsModel:
    return CHIPS.open(shipped_folder("textures"), read_description(shipped_folder("textures")))


def test_the_shipped_model_asks_for_classes_and_takes_them(tmp_path: Path) -> None:
    model = shipped()
    one = scene((LATTICE, FILM), rows=3, columns=2)
    with pytest.raises(EngineError, match="knows no classes yet"):
        model.apply(one.image, pixel_size_m=None)
    path = tmp_path / "support.json"
    path.write_bytes(support_of(one, open_encoder("handmade"), names="ab").to_json())
    supplied = model.with_support(path)
    found = supplied.apply(one.image, pixel_size_m=None)
    assert found.classes == supplied.description.classes == ("a", "b", NONE_OF_THESE)
    assert (found.class_id == one.truth).mean() >= 0.9
    with pytest.raises(EngineError, match="knows no classes yet"):
        model.apply(one.image, pixel_size_m=None)


def test_a_frame_full_of_something_else_is_called_strange(model: ChipsModel) -> None:
    known = model.apply(scene((LATTICE, FILM), rows=3, columns=2).image, pixel_size_m=None)
    strange = model.apply(scene((FRINGES,), rows=3, columns=3).image, pixel_size_m=None)
    assert known.drift_score is not None
    assert strange.drift_score is not None
    assert known.drift_score < 1 < strange.drift_score
    assert known.unsure == ()
    (sentence,) = strange.unsure
    assert "none of the classes" in sentence


def test_a_summary_says_how_much_of_the_area_each_class_has(model: ChipsModel) -> None:
    facts = model.apply(scene((LATTICE, FILM), rows=3, columns=2).image, pixel_size_m=20e-12).summary()
    fractions = facts["area_fractions"]
    assert isinstance(fractions, dict)
    assert set(fractions) == {"a", "b", NONE_OF_THESE}
    first = fractions["a"]
    assert isinstance(first, dict)
    assert isinstance(first["low"], float)
    assert isinstance(first["high"], float)
    assert 0.3 <= first["low"] <= first["high"] <= 0.6


def _saved(one: Scene, folder: Path) -> Path:
    """Three chips of each of two textures as files."""
    for name, texture in (("a", 0), ("b", 1)):
        (folder / name).mkdir(parents=True)
        for place in one.places(texture, 3):
            pixels = one.chips.pixels[one.chips.at(*place)]
            np.save(folder / name / f"{place[0]}-{place[1]}.npy", pixels, allow_pickle=False)
    return folder


def test_chips_on_another_grey_scale_than_the_image_still_name_its_classes(tmp_path: Path) -> None:
    one = scene((LATTICE, FILM), rows=3, columns=2)
    counts = (30_000 + 20_000 * one.image / one.image.max()).astype(np.uint16)
    supplied = shipped().with_support(_saved(one, tmp_path / "support"), image=counts)
    found = supplied.apply(counts, pixel_size_m=None)
    assert (found.class_id == one.truth).mean() >= 0.9
    assert any("grey scale of the image" in sentence for sentence in found.unsure)


def test_a_bundle_without_pixels_answers_as_the_support_set_that_it_was_made_of() -> None:
    one = scene((LATTICE, FILM), rows=3, columns=2)
    encoder = open_encoder("handmade")
    support = support_of(one, encoder, names="ab")
    whole = FewShotModel(support, encoder)
    assert whole.blends is not None
    kept = FewShotModel(support.without_pixels(), encoder, blends=whole.blends.kept().opened())
    vectors = encoder.embed(one.chips.pixels)
    expected, found = (model.class_map(one.chips, vectors).classification for model in (whole, kept))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=0.02)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_doubts_about_the_support_set_come_with_every_answer(tmp_path: Path) -> None:
    one = scene((LATTICE, FILM), rows=3, columns=2)
    for name, texture, count in (("a", 0, 3), ("b", 1, 3)):
        (tmp_path / "support" / name).mkdir(parents=True)
        for place in one.places(texture, count):
            pixels = one.chips.pixels[one.chips.at(*place)]
            np.save(tmp_path / "support" / name / f"{place[0]}-{place[1]}.npy", pixels, allow_pickle=False)
    assert shipped().with_support(tmp_path / "support").apply(one.image, pixel_size_m=None).unsure == ()
    stray = one.places(1, 4)[1]
    pixels = one.chips.pixels[one.chips.at(*stray)] * np.float32(1.01)
    np.save(tmp_path / "support" / "a" / "stray.npy", pixels, allow_pickle=False)
    doubts = shipped().with_support(tmp_path / "support").apply(one.image, pixel_size_m=None).unsure
    assert any("stray.npy" in sentence and "looks like 'b'" in sentence for sentence in doubts)


def test_classes_and_support_set_must_agree(model: ChipsModel, tmp_path: Path) -> None:
    for name, blob in model.encoder.files().items():
        (tmp_path / name).write_bytes(blob)
    renamed = model.description.model_copy(update={"classes": ("x", "y")})
    with pytest.raises(EngineError, match="it names the classes"):
        CHIPS.open(tmp_path, renamed)
    unknown = model.description.model_copy(update={"parameters": {"enc": "textures"}})
    with pytest.raises(EngineError, match="parameters are wrong"):
        CHIPS.open(tmp_path, unknown)


def test_the_edge_of_normal_lies_above_what_is_usual() -> None:
    assert RejectReference.of(None, 0.005) == RejectReference(limit=0.05, frames=0)
    assert RejectReference.of(0.1, 0.005).limit == pytest.approx(0.3)
    assert RejectReference.of(0.9, 0.005).limit == 1
    with pytest.raises(DriftReferenceError):
        RejectReference.from_json(b"{}")
