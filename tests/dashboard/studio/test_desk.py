"""What a page has open: labels over images, a set that was loaded, and what may be saved."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from eucentric_dashboard.chips import (
    ImageUnreadableError,
    LabelError,
    MappedFrame,
    Place,
    StudioImage,
    map_frame,
    read_upload,
)
from eucentric_dashboard.pages.studio._desk import Desk
from eucentric_dashboard.pages.studio._export import counts_csv, map_csv, map_png, map_svg
from eucentric_dashboard.pages.studio._labels import DropKept, Paint, Regrid, RenameClass
from eucentric_dashboard.pages.studio._loaded import read_loaded
from eucentric_model_registry.support_sets import ImageOrigin, SupportSetStore

from ...models.fewshot.scenes import CHIP_PX, FILM, LATTICE, scene

ORIGIN = ImageOrigin(kind="file", file="scene.npy")
FIRST: tuple[Place, ...] = ((0, 0), (1, 1), (2, 0))
SECOND: tuple[Place, ...] = ((0, 2), (1, 3), (2, 2))


def image(seed: int = 5) -> StudioImage:
    array = scene((LATTICE, FILM), rows=3, columns=2, seed=seed).image
    return StudioImage(array, 20e-12, ORIGIN, "scene.npy")


def labelled(desk: Desk) -> MappedFrame:
    """Three chips of each of two textures, mapped."""
    assert desk.labelling is not None
    desk.do(Regrid(desk.labelling.grid.with_side_px(CHIP_PX)))
    desk.do(Paint(FIRST, 1))
    desk.do(Paint(SECOND, 2))
    return mapped(desk)


def mapped(desk: Desk) -> MappedFrame:
    work = desk.work
    assert work is not None
    found = map_frame(work.request())
    desk.take_map(work, found)
    return found


@pytest.fixture(scope="module")
def done() -> Desk:
    desk = Desk()
    desk.open_image(image())
    labelled(desk)
    return desk


def test_six_clicks_map_the_image(done: Desk) -> None:
    assert done.mapped is not None
    assert done.map_is_current
    found = done.mapped[1]
    assert found.classes == ("class 1", "class 2", "none of these")
    assert found.class_id.reshape(found.rows, found.columns).tolist() == [[0, 0, 1, 1]] * 3
    assert [check.recognised for check in found.checks] == [3, 3]
    assert [share.area_fraction for share in found.shares] == [0.5, 0.5, 0.0]
    assert found.shares[0].area_nm2 == pytest.approx(6 * (CHIP_PX * 0.02) ** 2)
    # The nearest support chip of a support chip is itself.
    for place, label in ((FIRST[1], "class 1"), (SECOND[0], "class 2")):
        index = place[0] * found.columns + place[1]
        assert found.support_labels[found.nearest[index, 0]] == label
        assert found.distances[index, 0] == pytest.approx(0, abs=2e-3)


def test_nothing_is_saved_but_what_the_map_shows(tmp_path: Path) -> None:
    desk, store = Desk(), SupportSetStore(tmp_path / "store")
    with pytest.raises(LabelError, match="nothing to save yet"):
        desk.to_save(name="oxide", author="anna", notes="")
    desk.open_image(image())
    with pytest.raises(LabelError, match="Label at least 2 chips"):
        desk.to_save(name="oxide", author="anna", notes="")
    labelled(desk)
    desk.saved(store.save(*desk.to_save(name="oxide", author="anna", notes="thin")))
    desk.do(RenameClass(1, "lattice"))
    with pytest.raises(LabelError, match="still being computed"):
        desk.to_save(name="oxide", author="anna", notes="")
    mapped(desk)
    again = store.save(*desk.to_save(name="oxide", author="bert", notes=""))
    assert (again.version, again.based_on) == (2, 1)
    assert [(one.name, one.chips) for one in again.classes] == [("lattice", 3), ("class 2", 3)]
    # Another name begins its own versions.
    assert desk.to_save(name="other", author="bert", notes="")[0].based_on is None


def test_a_saved_set_lies_on_its_image_again_and_is_kept_over_another(done: Desk, tmp_path: Path) -> None:
    store = SupportSetStore(tmp_path / "store")
    record = store.save(*done.to_save(name="oxide", author="anna", notes=""))
    loaded = read_loaded(store.content(record))
    desk = Desk()
    desk.load(loaded, image(), record)
    assert desk.labelling is not None
    assert desk.labelling.chips == {**dict.fromkeys(FIRST, 1), **dict.fromkeys(SECOND, 2)}
    assert not desk.labelling.kept
    assert mapped(desk).digest == done.mapped[1].digest if done.mapped else False

    desk.load(loaded, image(seed=6), record)
    assert not desk.labelling.chips
    assert list(desk.labelling.kept.values()) == [1, 1, 1, 2, 2, 2]
    assert desk.labelling.grid.side_px == CHIP_PX
    found = mapped(desk)
    assert found.class_id.reshape(found.rows, found.columns).tolist() == [[0, 0, 1, 1]] * 3
    desk.do(DropKept(0))
    desk.do(DropKept(1))
    assert desk.work is None
    desk.do(Paint(((0, 0),), 1))
    assert len(json.loads(mapped(desk).support)["chips"]) == 5


def test_what_was_labelled_goes_along_to_the_next_image() -> None:
    desk = Desk()
    desk.open_image(image())
    labelled(desk)
    assert desk.open_image(image(seed=6)) == 0
    assert desk.labelling is not None
    assert len(desk.labelling.kept) == 6
    # Back on the first image the chips lie where they were clicked.
    mapped(desk)
    desk.open_image(image())
    assert set(desk.labelling.chips) == {*FIRST, *SECOND}


def test_labels_that_are_too_few_to_keep_are_counted() -> None:
    desk = Desk()
    desk.open_image(image())
    desk.do(Paint(((0, 0), (0, 1)), 1))
    assert desk.open_image(image(seed=6)) == 2


def test_a_map_of_other_labels_is_not_called_current(done: Desk) -> None:
    desk = Desk()
    desk.open_image(image())
    labelled(desk)
    current = [desk.map_is_current]
    for change in (partial(desk.do, Paint(((2, 1),), 1)), desk.undo):
        change()
        current.append(desk.map_is_current)
    assert current == [True, False, True]


def test_every_kind_of_file_tells_the_same(done: Desk) -> None:
    assert done.mapped is not None
    work, found = done.mapped
    classes = work.labelling.classes
    table = map_csv(found, work.image).decode().splitlines()
    assert len(table) == 1 + found.rows * found.columns
    assert table[0].startswith("row,column,y_px,x_px,y_nm,x_nm,class,confidence")
    assert table[1].split(",")[:4] == ["0", "0", "31.5", "31.5"]
    assert counts_csv(found).decode().splitlines()[1].startswith("class 1,6,0.50000,")
    assert map_png(found, work.image, classes).startswith(b"\x89PNG")
    assert map_svg(found, work.image, classes).count(b"<rect") > found.rows * found.columns


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.png", b"no picture", "notes.png cannot be opened"),
        ("../../etc/passwd", b"root", "passwd cannot be opened"),
        ("empty.npy", b"", "empty.npy cannot be opened"),
        ("shout.dm4", b"\x00" * 64, "shout.dm4 cannot be opened"),
    ],
)
def test_a_file_that_is_no_image_is_refused_by_its_name(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(ImageUnreadableError, match=reason):
        read_upload(name, content)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((32, 32), np.nan, np.float32), "not finite"),
        (np.ones((32, 32), np.float32), "same value"),
        (np.random.default_rng(0).random((10, 90)), "too small"),
    ],
)
def test_an_image_that_cannot_be_labelled_is_refused(array: np.ndarray, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "image.npy"
    np.save(file, array, allow_pickle=False)
    with pytest.raises(ImageUnreadableError, match=reason):
        read_upload("image.npy", file.read_bytes())
