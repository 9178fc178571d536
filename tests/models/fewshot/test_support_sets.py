"""Support sets: what they remember, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from eucentric_models.fewshot import (
    ChipEncoder,
    ChipError,
    FewShotModel,
    GreyScale,
    SupportSet,
    SupportSetError,
    open_encoder,
    read_support,
)

from .scenes import CHIP_PX, Scene, scene, support_of

Images = dict[str, list[tuple[str, NDArray[np.generic]]]]


@pytest.fixture(scope="module")
def encoder() -> ChipEncoder:
    return open_encoder("handmade")


@pytest.fixture(scope="module")
def three() -> Scene:
    return scene(rows=3, columns=2)


@pytest.fixture(scope="module")
def support(three: Scene, encoder: ChipEncoder) -> SupportSet:
    return support_of(three, encoder)


def images(three: Scene, chips: int = 3) -> Images:
    """Chips as files of their own would hold them."""
    found: Images = {}
    for index, name in enumerate("abc"):
        places = [three.chips.at(*place) for place in three.places(index, chips)]
        found[name] = [(f"{name}{i}.png", _byte(three.chips.pixels[i])) for i in places]
    return found


def _byte(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(200 * pixels + 20, 0, 255).astype(np.uint8)


def test_a_set_survives_as_json_and_classifies_as_before(
    support: SupportSet, three: Scene, encoder: ChipEncoder
) -> None:
    again = SupportSet.from_json(support.to_json())
    assert again == support
    assert again.digest == support.digest
    vectors = encoder.embed(three.chips.pixels)
    before, after = (FewShotModel(one, encoder).classify(vectors).distances for one in (support, again))
    np.testing.assert_array_equal(after, before)
    small = support.without_pixels()
    assert small.digest == support.digest
    assert len(small.to_json()) < len(support.to_json()) / 2


def test_a_set_remembers_where_every_chip_is_from(support: SupportSet, three: Scene) -> None:
    assert support.classes == ("a", "b", "c")
    for chip in support.chips:
        assert chip.frame_sha256 == three.chips.frame_sha256
        assert (chip.top_px, chip.left_px) == (chip.row * CHIP_PX, chip.column * CHIP_PX)  # type: ignore[operator]


def test_a_set_is_never_changed_and_other_sets_have_other_digests(support: SupportSet) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        support.chip_px = 3  # type: ignore[misc]
    fewer = support.without(0)
    assert len(fewer.chips) == len(support.chips) - 1
    assert fewer.digest != support.digest
    with pytest.raises(SupportSetError, match="class 'a' has 1 chips"):
        fewer.without(0)


def test_pixels_are_enough_to_embed_a_set_again(support: SupportSet, encoder: ChipEncoder) -> None:
    assert support.pixels is not None
    again = encoder.embed(support.pixels.array())
    assert (again * support.vectors).sum(axis=1).min() > 0.99


def test_chips_of_files_and_of_a_frame_make_the_same_prototypes(
    three: Scene, support: SupportSet, encoder: ChipEncoder
) -> None:
    # The grey scale of the frame in the bytes of the files.
    files = SupportSet.of_images(encoder, images(three), grey_scale=GreyScale(low=20, high=220))
    assert (files.vectors * support.vectors).sum(axis=1).min() > 0.98
    assert files.chips[0].source
    assert files.chips[0].row is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda chips: np.where(np.arange(CHIP_PX) == 5, np.nan, chips.astype(float)), "NaN or infinity"),
        (np.zeros_like, "is constant"),
        (lambda chips: chips[:5], "5 x 64 pixels"),
        (lambda chips: chips[:32], "different sizes"),
        (lambda chips: chips[None], "no grey image"),
        (lambda chips: chips.astype(complex), "no grey image"),
    ],
    ids=["NaN", "constant", "too small", "another size", "three dimensions", "complex"],
)
def test_a_poisoned_chip_is_refused_by_name(
    three: Scene, encoder: ChipEncoder, spoil: object, reason: str
) -> None:
    given = images(three)
    name, pixels = given["b"][1]
    given["b"][1] = (name, spoil(pixels))  # type: ignore[operator]
    with pytest.raises(SupportSetError, match=reason) as caught:
        SupportSet.of_images(encoder, given)
    assert name in caught.value.what or reason == "different sizes"
    assert "nothing was classified" in caught.value.safe


class TestTooFew:
    def test_chips(self, three: Scene, encoder: ChipEncoder) -> None:
        chosen = {"a": three.places(0, 2), "b": three.places(1, 1)}
        with pytest.raises(SupportSetError, match="class 'b' has 1 chips; 2 to 100 are possible"):
            SupportSet.build(encoder, three.chips, chosen)

    def test_classes(self, three: Scene, encoder: ChipEncoder) -> None:
        with pytest.raises(SupportSetError, match="1 classes"):
            SupportSet.build(encoder, three.chips, {"a": three.places(0, 3)})

    def test_different_chips(self, three: Scene, encoder: ChipEncoder) -> None:
        twice = [three.places(0, 2)[0]] * 2
        with pytest.raises(SupportSetError, match="occurs twice"):
            SupportSet.build(encoder, three.chips, {"a": twice, "b": three.places(1, 2)})

    def test_places(self, three: Scene, encoder: ChipEncoder) -> None:
        with pytest.raises(ChipError, match="no chip in row 99"):
            SupportSet.build(encoder, three.chips, {"a": [(99, 0), (0, 0)], "b": three.places(1, 2)})


class TestAFolder:
    @pytest.fixture
    def folder(self, three: Scene, tmp_path: Path) -> Path:
        for name, chips in images(three).items():
            (tmp_path / "support" / name).mkdir(parents=True)
            for file, pixels in chips:
                Image.fromarray(pixels).save(tmp_path / "support" / name / file)
        return tmp_path / "support"

    def test_of_pictures_is_a_support_set(self, folder: Path, three: Scene, encoder: ChipEncoder) -> None:
        scale = GreyScale(low=20, high=220)
        found = read_support(folder, encoder, grey_scale=scale)
        in_order = {name: sorted(chips, key=lambda chip: chip[0]) for name, chips in images(three).items()}
        assert found == SupportSet.of_images(encoder, in_order, grey_scale=scale)

    def test_may_hold_colour_screenshots_16_bit_images_and_arrays(
        self, folder: Path, encoder: ChipEncoder
    ) -> None:
        files = sorted((folder / "a").iterdir())
        for file in files:
            Image.open(file).convert("RGB").save(file)
        for file in sorted((folder / "b").iterdir()):
            grey = np.array(Image.open(file))
            file.unlink()
            Image.fromarray(grey.astype(np.uint16)).save(file.with_suffix(".tif"))
        for file in sorted((folder / "c").iterdir()):
            np.save(file.with_suffix(".npy"), np.array(Image.open(file)), allow_pickle=False)
            file.unlink()
        assert len(read_support(folder, encoder).chips) == 9

    def test_with_a_damaged_picture_is_refused_by_name(self, folder: Path, encoder: ChipEncoder) -> None:
        (folder / "a" / "z.png").write_bytes(b"no picture")
        with pytest.raises(SupportSetError, match=r"z\.png cannot be read"):
            read_support(folder, encoder)

    def test_without_classes_is_refused(self, tmp_path: Path, encoder: ChipEncoder) -> None:
        with pytest.raises(SupportSetError, match="one for each class was expected"):
            read_support(tmp_path, encoder)
        with pytest.raises(SupportSetError, match="neither a folder"):
            read_support(tmp_path / "nowhere", encoder)


@pytest.mark.parametrize("damage", ["embeddings", "chips", "text"])
def test_a_damaged_file_is_refused(support: SupportSet, damage: str) -> None:
    text = support.to_json()
    if damage == "text":
        text = text[: len(text) // 2]
    elif damage == "embeddings":
        shape = ",".join(f"\n   {side}" for side in support.embeddings.shape).encode()
        assert shape in text
        text = text.replace(shape, b"\n   1,\n   1", 1)
    else:
        text = text.replace(b'"label": "c"', b'"label": "b"')
        text = text.replace(b'"label": "b"', b'"label": "a"')
    with pytest.raises(SupportSetError, match="cannot be read"):
        SupportSet.from_json(text)


def test_chips_of_another_frame_stay_in_a_set_that_grows(
    three: Scene, support: SupportSet, encoder: ChipEncoder
) -> None:
    other = scene(rows=3, columns=2, seed=6)
    chosen = {"a": other.places(0, 2), "new": other.places(2, 2)}
    kept = {index: chip.label for index, chip in enumerate(support.chips) if chip.label != "c"}
    joined = SupportSet.joined(encoder, other.chips, chosen, earlier=support, kept=kept)
    counts = {name: sum(chip.label == name for chip in joined.chips) for name in joined.classes}
    assert counts == {"a": 5, "new": 2, "b": 3}
    origins = {chip.frame_sha256 for chip in joined.chips if chip.label == "b"}
    assert origins == {three.chips.frame_sha256}
    old = joined.vectors[[i for i, chip in enumerate(joined.chips) if chip.label == "b"]]
    before = support.vectors[[i for i, chip in enumerate(support.chips) if chip.label == "b"]]
    assert (old * before).sum(axis=1).min() > 0.99
    with pytest.raises(SupportSetError, match="no pixels"):
        SupportSet.joined(encoder, other.chips, chosen, earlier=support.without_pixels(), kept=kept)
