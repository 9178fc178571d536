"""The story of the dashboard: somebody who never used Python labels ten chips, starts a retraining, watches
it arrive on the live image, and takes it back, in one browser tab before a whole site.

Every service is a process of its own; only the specimen is SIMULATED. A model is in service already, which
knows other textures; nothing else is prepared.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from eucentric import AcquisitionProgress, ScanStream, follow
from eucentric.practice import PracticeSite
from eucentric_core import TrustedKeys
from eucentric_data_repository import open_catalogue
from eucentric_model_registry import (
    BundleIdentity,
    Registry,
    build_and_sign_draft,
    load_signer,
    move_champion,
)

from ..models.fewshot.scenes import chips_draft
from .browser import Tab, watched_tab
from .stand_in import eventually
from .studio.chips_site import LINEAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = "particles"
SIDE_PX = 256
CHIP_PX = 32
COLUMNS = SIDE_PX // CHIP_PX
RECORDED = 8
"""Frames of an earlier session: the least that a retraining gathers."""
_LONG_MS = 300_000
_TWIN = {"material": "gold_on_carbon", "seed": 4, "specimen": {"extent_m": 4e-6}}
_SCAN = ScanStream(height_px=SIDE_PX, width_px=SIDE_PX, dwell_time_s=4e-6, max_frames_per_s=1)
_COLOUR_OF_CHIP = """([row, column, columns]) => {
  const side = 16, copy = new OffscreenCanvas(columns * side, columns * side).getContext("2d");
  copy.drawImage(document.querySelector(".lv-stage canvas"), 0, 0, columns * side, columns * side);
  return [...copy.getImageData((column + 0.5) * side, (row + 0.5) * side, 1, 1).data];
}"""
"""RGBA of the middle of a chip as the live image shows it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeSite]:
    """Everything runs, something was recorded before, a model serves, and the instrument scans."""
    folder = tmp_path_factory.mktemp("story")
    with ExitStack() as stack:
        site = stack.enter_context(
            PracticeSite(
                *("mlflow", "prefect", "repository", "agent", "edge", "flows", "dashboard"),
                # By eye: where the edge cannot follow it skips frames, rather than be later and later.
                settings={"agent": {"driver": _TWIN}, "edge": {"model": MODEL, "frames": "newest"}},
            )
        )
        scope = stack.enter_context(site.connect("instrument"))
        stack.enter_context(scope.control(reason="tests"))
        scope.start_session("monday", material="gold")
        scope.unblank(max_duration_s=600)
        scope.stream(_SCAN.model_copy(update={"max_frames": RECORDED, "max_frames_per_s": None}))
        follow(AcquisitionProgress(lambda: site.connect("count"), session="monday", frames=RECORDED))
        scope.stop_session()
        promote_first(site, folder)
        scope.start_session("today", material="gold")
        scope.stream(_SCAN)
        yield site
        scope.blank()
        scope.stop_session()


def promote_first(site: PracticeSite, folder: Path) -> None:
    """Version 1, of two textures that are not there."""
    settings = site.settings
    registry = Registry(settings.hub.mlflow_url, TrustedKeys.read(settings.trusted_keys_path))
    (folder / "draft").mkdir()
    identity = BundleIdentity(MODEL, 1, "gold", LINEAGE.model_copy(update={"policy": None}))
    signer = load_signer(settings.signing_key_path)
    build_and_sign_draft(folder / "bundle", chips_draft(folder / "draft"), identity, signer)
    registry.register(MODEL, folder / "bundle")
    move_champion(settings, registry, MODEL, 1, reason="the first one", who="bert")


@pytest.fixture
def tab(chromium: Browser, site: PracticeSite) -> Iterator[Tab]:
    url = f"http://127.0.0.1:{site.settings.dashboard.port}"
    with watched_tab(chromium, url, patience_ms=_LONG_MS) as watched:
        yield watched


def go(page: Page, title: str) -> None:
    """By the rail at the left."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()
    expect(page.get_by_role("link", name=title)).to_have_attribute("aria-current", "page")


def long(found: Locator) -> None:
    """Wait for something that takes long on a loaded machine."""
    expect(found).to_be_visible(timeout=_LONG_MS)


def brightest_and_darkest(canvas: Locator, count: int) -> tuple[list[int], list[int]]:
    """What an eye would choose: numbers of chips, row by row, seen on the screen."""
    seen = Image.open(io.BytesIO(canvas.screenshot())).convert("L").resize((SIDE_PX, SIDE_PX))
    means = np.asarray(seen, np.float64).reshape(COLUMNS, CHIP_PX, COLUMNS, CHIP_PX).mean(axis=(1, 3)).ravel()
    means[-COLUMNS : 2 - COLUMNS] = np.median(means)  # the scale bar lies there
    order = np.argsort(means)
    return [int(one) for one in order[-count:]], [int(one) for one in order[:count]]


def click_chips(canvas: Locator, numbers: list[int]) -> None:
    box = canvas.bounding_box()
    assert box is not None
    side = box["width"] / COLUMNS
    for number in numbers:
        row, column = divmod(number, COLUMNS)
        canvas.click(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})


def test_ten_chips_a_retraining_its_arrival_and_the_way_back(tab: Tab, site: PracticeSite) -> None:
    page = tab.open("/")
    long(page.get_by_text(f"{MODEL} v1").first)

    # Ten chips of the live image.
    go(page, "Studio")
    canvas = page.locator(".chip-canvas")
    page.get_by_role("button", name="Freeze live image").click()
    page.get_by_label("Chip (px)").fill(str(CHIP_PX))
    expect(page.get_by_text(f"{COLUMNS} × {COLUMNS} = {COLUMNS**2} chips")).to_be_visible()
    expect(canvas.locator("img")).to_have_js_property("naturalWidth", SIDE_PX)
    gold, carbon = brightest_and_darkest(canvas.locator("canvas"), 5)
    click_chips(canvas.locator("canvas"), gold)
    page.keyboard.press("2")
    click_chips(canvas.locator("canvas"), carbon)
    expect(canvas).to_have_attribute("data-chips", "10")
    for number, name in ((1, "gold"), (2, "carbon")):
        page.get_by_label(f"Name of class {number}").fill(name)
        page.keyboard.press("Tab")
    long(page.locator(".studio-table").get_by_role("rowheader", name="carbon"))
    tab.picture("story-1-ten-chips-of-a-live-image")
    page.get_by_label("Name", exact=True).fill("gold-on-carbon")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("gold-on-carbon v1 by")).to_be_visible()

    # A retraining of them, on the way to which the form is filled in.
    page.get_by_role("button", name="Start a retraining").click()
    page.get_by_role("button", name="Start", exact=True).click()
    run = page.get_by_text(re.compile("promoted v2|promoted:"))
    long(run.first)
    tab.picture("story-2-a-retraining-of-them")

    # It arrives on the live image.
    go(page, "Live")
    long(page.get_by_text(f"{MODEL} v2").first)
    legend = page.get_by_role("group", name="Classes")
    long(legend.get_by_text("gold"))

    def is_coloured() -> bool:
        colour = page.evaluate(_COLOUR_OF_CHIP, [gold[0] // COLUMNS, gold[0] % COLUMNS, COLUMNS])
        return bool(max(colour[:3]) > min(colour[:3]) + 8)

    # The classes are told of before the first frame with them is drawn.
    assert eventually(is_coloured, timeout_s=60), "the chip called gold is coloured on the live image"
    tab.picture("story-3-it-arrives-on-the-live-image")

    # And back, with a reason.
    go(page, "Models")
    page.get_by_role("button", name="Roll back version 1").click()
    page.get_by_label("Why").fill("the chips were only tried")
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("table", name="History")).to_contain_text("the chips were only tried")
    tab.picture("story-4-and-back-with-a-reason")
    go(page, "Live")
    long(page.get_by_text(f"{MODEL} v1").first)
    expect(legend.get_by_text("gold")).to_have_count(0)
    with open_catalogue(site.settings) as catalogue:
        assert [entry.session for entry in catalogue.datasets()][:1] == ["monday"]
