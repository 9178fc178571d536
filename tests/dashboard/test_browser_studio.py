"""Somebody who never used Python labels chips in a real browser, before a real microscope's twin and edge."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from eucentric_model_registry.support_sets import NewSupportSet, support_set_store
from eucentric_models.fewshot import open_encoder

from ..models.fewshot.scenes import FILM, LATTICE, scene, support_of
from .browser import Tab, serious_faults, watched_tab
from .running_site import scanning
from .studio.chips_site import CHIP_PX, COLUMNS, ROWS, ChipsSite, write_textures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_SLOW_MS = 120_000
"""The first map opens an encoder, beside whatever else this machine does."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChipsSite]:
    one = ChipsSite(tmp_path_factory.mktemp("studio"))
    try:
        one.start_all()
        yield one
    finally:
        one.stop_all()


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"))


@pytest.fixture
def tab(chromium: Browser, site: ChipsSite) -> Iterator[Tab]:
    with watched_tab(chromium, site.url, patience_ms=_SLOW_MS) as watched:
        yield watched


def bring(page: Page, textures: Path) -> Locator:
    """Open the image by step 1, and choose the size of chips by step 2; the canvas."""
    page.set_input_files("input[type=file]", textures)
    expect(page.get_by_text(f"textures.npy · {COLUMNS * CHIP_PX} × {ROWS * CHIP_PX} px")).to_be_visible()
    page.get_by_label("Chip (px)").fill(str(CHIP_PX))
    expect(page.get_by_text(f"{ROWS} × {COLUMNS} = {ROWS * COLUMNS} chips")).to_be_visible()
    return page.locator(".chip-canvas")


def click(canvas: Locator, *places: tuple[int, int]) -> None:
    """Point at chips."""
    box = canvas.bounding_box()
    assert box is not None
    side = box["width"] / COLUMNS
    for row, column in places:
        canvas.locator("canvas").click(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})


def has_map(canvas: Locator) -> str:
    """Wait for a map; its version."""
    expect(canvas).not_to_have_attribute("data-map", "", timeout=_SLOW_MS)
    return canvas.get_attribute("data-map") or ""


LATTICE_CHIPS = [(0, 0), (1, 1), (2, 0), (3, 1), (5, 0)]
FILM_CHIPS = [(0, 2), (1, 3), (2, 2), (4, 3), (5, 2)]


def label_ten(page: Page, canvas: Locator) -> str:
    """Five chips of each of two textures; the version of the map."""
    click(canvas, *LATTICE_CHIPS)
    page.keyboard.press("2")
    click(canvas, *FILM_CHIPS)
    expect(canvas).to_have_attribute("data-chips", "10")
    return has_map(canvas)


def downloaded(page: Page, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_ten_chips_become_a_map_a_version_files_and_the_live_classes(
    tab: Tab, site: ChipsSite, textures: Path
) -> None:
    page = tab.open("/studio")
    canvas = bring(page, textures)
    label_ten(page, canvas)
    for key, name in ((1, "lattice"), (2, "film")):
        page.get_by_label(f"Name of class {key}").fill(name)
        page.keyboard.press("Tab")
    table = page.locator(".studio-table")
    for name in ("lattice", "film", "none of these"):
        expect(table.get_by_role("rowheader", name=name)).to_be_visible(timeout=_SLOW_MS)
    expect(table.get_by_text("5 of 5").first).to_be_visible()

    # What was mapped is what is there: the third texture is of neither class.
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "csv").decode())))
    truth = ["lattice", "film", "none of these"]
    assert all(row["class"] == truth[int(row["column"]) // 2] for row in rows)
    assert {row["class"] for row in rows} == set(truth)
    assert len(rows) == ROWS * COLUMNS
    counts = list(csv.DictReader(io.StringIO(downloaded(page, "counts").decode())))
    assert [int(row["chips"]) for row in counts] == [2 * ROWS] * 3
    assert downloaded(page, "png").startswith(b"\x89PNG")
    assert b"<title>film</title>" in downloaded(page, "svg")

    # Saved, and opened again by its link: chips of another image are kept until that image is open again.
    page.get_by_label("Name", exact=True).fill("oxide-film")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("oxide-film v1 by anonymous")).to_be_visible()
    page = tab.open("/studio?set=oxide-film&version=1")
    expect(page.get_by_text("there is no image to lay it over")).to_be_visible()
    canvas = page.locator(".chip-canvas")
    page.set_input_files("input[type=file]", textures)
    expect(page.get_by_text("textures.npy ·")).to_be_visible()
    page.get_by_role("button", name="Open a saved set").click()
    page.get_by_role("button", name="oxide-film v1").click()
    expect(canvas).to_have_attribute("data-chips", "10")
    has_map(canvas)
    expect(page.get_by_text("oxide-film v1 by anonymous")).to_be_visible()

    # The edge takes the classes, and says so in its answers to live frames.
    page.get_by_role("button", name="Send to the edge").click()
    expect(page.get_by_text("it answers with lattice, film, none of these")).to_be_visible()
    with scanning(site):
        page.get_by_text("Live", exact=True).last.click()
        expect(page.get_by_text("· lattice, film, none of these")).to_be_visible()
        assert "lattice|film" in has_map(canvas)
    page.get_by_role("button", name="Give back its own classes").click()
    expect(page.get_by_text("it answers with a, b, none of these")).to_be_visible()
    assert site.edge_call("status")["classes"] == ["a", "b", "none of these"]


def test_a_label_is_undone_erased_dragged_and_goes_along_with_the_grid(tab: Tab, textures: Path) -> None:
    page = tab.open("/studio")
    canvas = bring(page, textures)
    click(canvas, (0, 0))
    expect(canvas).to_have_attribute("data-chips", "1")
    expect(page.get_by_text("class 1: one more chip, at least 2 are needed.")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(canvas).to_have_attribute("data-chips", "0")
    page.keyboard.press("Control+y")
    expect(canvas).to_have_attribute("data-chips", "1")
    click(canvas, (0, 0))
    expect(canvas).to_have_attribute("data-chips", "0")
    box = canvas.bounding_box()
    assert box is not None
    side = box["width"] / COLUMNS
    page.mouse.move(box["x"] + side / 2, box["y"] + side / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 3.5 * side, box["y"] + side / 2)
    page.mouse.up()
    expect(canvas).to_have_attribute("data-chips", "4")
    page.get_by_label("Chip (px)").fill(str(2 * CHIP_PX))
    expect(canvas).to_have_attribute("data-chips", "2")
    page.get_by_label("Chip (px)").fill(str(CHIP_PX))
    expect(canvas).to_have_attribute("data-chips", "4")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(canvas).to_have_attribute("data-chips", "0")


def test_everything_works_without_a_mouse(tab: Tab, textures: Path) -> None:
    page = tab.open("/studio")
    canvas = bring(page, textures)
    # The canvas comes by the tab key like any other control.
    page.get_by_role("button", name="Redo").evaluate(
        "one => one.closest('.studio-toolbar').querySelector('button').focus()"
    )
    for _ in range(20):
        page.keyboard.press("Tab")
        if canvas.evaluate("one => document.activeElement === one"):
            break
    expect(canvas).to_be_focused()
    for key in (" ", "ArrowDown", " ", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.keyboard.press("2")
    for key in ("ArrowRight", "ArrowRight", " ", "ArrowUp", " ", "ArrowUp", " "):
        page.keyboard.press(key)
    expect(canvas).to_have_attribute("data-chips", "6")
    has_map(canvas)
    page.keyboard.press("Delete")
    expect(canvas).to_have_attribute("data-chips", "5")
    page.keyboard.press("Control+z")
    expect(canvas).to_have_attribute("data-chips", "6")
    faults = serious_faults(page)
    assert not faults, "\n".join(faults)


def test_a_file_that_is_no_image_is_said_so_and_changes_nothing(
    tab: Tab, textures: Path, tmp_path: Path
) -> None:
    page = tab.open("/studio")
    bring(page, textures)
    wrong = tmp_path / "notes.png"
    wrong.write_bytes(b"this is no picture")
    page.set_input_files("input[type=file]", wrong)
    expect(page.get_by_text("notes.png cannot be opened")).to_be_visible()
    flat = tmp_path / "flat.npy"
    np.save(flat, np.ones((64, 64), np.float32))
    page.set_input_files("input[type=file]", flat)
    expect(page.get_by_text("every pixel has the same value")).to_be_visible()
    expect(page.get_by_text("textures.npy ·")).to_be_visible()


def test_a_place_of_a_map_tells_its_chip_and_what_it_resembles(tab: Tab, site: ChipsSite) -> None:
    one = scene((LATTICE, FILM), rows=3, columns=2)
    support = support_of(one, open_encoder("handmade"), names="lf")
    new = NewSupportSet(name="two-textures", author="anna", classes=(), chip_px=CHIP_PX)
    support_set_store(site.settings).save(new, support.to_json())
    with scanning(site, session="maps"):
        page = tab.open("/maps")
        canvas = page.locator(".chip-canvas")
        # By the edge, live: its chips, and how far each frame is from what the model knows.
        assert "a|b|none of these" in has_map(canvas)
        expect(page.get_by_text("at the edge ·")).to_be_visible()
        expect(page.get_by_text(re.compile("Drift score of the edge over the last"))).to_be_visible()
        page.get_by_role("button", name="Confidence").click()
        expect(canvas).to_have_attribute("data-map", re.compile("-confidence$"))
        page.get_by_role("button", name="Uncertainty").click()
        expect(page.get_by_text("says nothing about uncertainty")).to_be_visible()
        page.get_by_role("button", name="Prediction").click()

        # By a saved support set: a click freezes the frame and tells the nearest support chips.
        page.get_by_label("Map by").click()
        page.get_by_role("option", name="two-textures v1").click()
        expect(page.get_by_text("two-textures v1, on this hub ·")).to_be_visible(timeout=_SLOW_MS)
        canvas.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press(" ")
        expect(page.get_by_text("row 2, column 1")).to_be_visible()
        expect(page.get_by_alt_text(re.compile("Support chip of (l|f), row"))).to_have_count(5)
        page.get_by_role("button", name="Out of distribution").click()
        expect(canvas).to_have_attribute("data-map", re.compile("-unlike$"))
        rows = list(csv.DictReader(io.StringIO(downloaded(page, "csv").decode())))
        assert len(rows) == 16
        assert {"class", "confidence", "out of distribution", "uncertainty"} <= set(rows[0])
    faults = serious_faults(page)
    assert not faults, "\n".join(faults)
