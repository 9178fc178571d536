"""What was recorded is looked at again: an image of a session in the studio, its drift on the maps."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from eucentric_model_registry.support_sets import NewSupportSet, support_set_store
from eucentric_models.fewshot import open_encoder

from ..flows.recorded_session import register_arrays
from ..models.fewshot.scenes import CHIP_PX, FILM, FRINGES, LATTICE, scene, support_of
from .browser import Tab, serious_faults, watched_tab
from .running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_SLOW_MS = 120_000
"""The first map opens an encoder, beside whatever else this machine does."""
_KNOWN = scene((LATTICE, FILM), rows=4, columns=2)
_OTHER = scene((FRINGES, FILM), rows=4, columns=2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A dashboard whose repository holds two sessions, and a support set; nothing is connected."""
    one = RunningSite(tmp_path_factory.mktemp("sessions"))
    root = one.settings.repository_path
    register_arrays(root, "sunday", [{"haadf": _OTHER.image}])
    frames = [_KNOWN.image, _KNOWN.image, _KNOWN.image, _OTHER.image]
    register_arrays(root, "monday", [{"haadf": frame} for frame in frames])
    support = support_of(_KNOWN, open_encoder("handmade"), names="lf")
    new = NewSupportSet(name="two-textures", author="anna", classes=(), chip_px=CHIP_PX)
    support_set_store(one.settings).save(new, support.to_json())
    try:
        one.start("dashboard")
        yield one
    finally:
        one.stop_all()


@pytest.fixture
def tab(chromium: Browser, site: RunningSite) -> Iterator[Tab]:
    with watched_tab(chromium, site.url, patience_ms=_SLOW_MS) as watched:
        yield watched


def test_an_image_of_a_session_is_chosen_labelled_and_found_again_by_its_set(tab: Tab) -> None:
    page = tab.open("/studio")
    page.get_by_role("button", name="From a session").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("0 to 3")).to_be_visible()
    assert serious_faults(page) == []
    dialog.get_by_label("Frame").fill("1")
    dialog.get_by_role("button", name="Open").click()
    expect(
        page.get_by_text(re.compile(r"^monday · haadf · frame 1 · 256 × 256 px · 5\.12 nm wide"))
    ).to_be_visible()

    # Four chips, saved, and opened by a link: the image comes from the repository again.
    canvas = page.locator(".chip-canvas")
    page.get_by_label("Chip (px)").fill(str(CHIP_PX))
    expect(page.get_by_text("4 × 4 = 16 chips")).to_be_visible()
    canvas.focus()
    for key in (" ", "ArrowDown", " ", "2", "ArrowRight", "ArrowRight", " ", "ArrowUp", " "):
        page.keyboard.press(key)
    expect(canvas).to_have_attribute("data-chips", "4")
    expect(canvas).not_to_have_attribute("data-map", "", timeout=_SLOW_MS)
    page.get_by_label("Name", exact=True).fill("from-monday")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("from-monday v1 by")).to_be_visible()
    page = tab.open("/studio?set=from-monday")
    expect(page.get_by_text(re.compile("^monday · haadf · frame 1"))).to_be_visible()
    expect(page.locator(".chip-canvas")).to_have_attribute("data-chips", "4")

    # A retraining of it is about the session that was looked at.
    page.get_by_role("button", name="Start a retraining").click()
    page.wait_for_url("**/flows?**session=monday**")


def test_how_a_session_drifted_is_told_by_a_saved_set(tab: Tab) -> None:
    page = tab.open("/maps")
    page.get_by_label("Map by").click()
    page.get_by_role("option", name="two-textures v1").click()
    expect(page.get_by_text("none of the classes of two-textures: choose a session")).to_be_visible()
    expect(page.get_by_label("Session", exact=True)).to_have_value(re.compile("^monday"))
    page.get_by_role("button", name="Go through it").click()
    # Half of the last frame shows a texture that the set does not know.
    told = page.get_by_text("Share of monday that is none of the classes of two-textures v1: 4 frames; ")
    expect(told).to_contain_text("0 % of frame 0, 50 % of frame 3", timeout=_SLOW_MS)
    assert serious_faults(page) == []


def test_the_nearest_frame_is_named_where_there_is_none_of_a_number(tab: Tab) -> None:
    page = tab.open("/studio")
    page.get_by_role("button", name="From a session").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Frame").fill("9")
    dialog.get_by_role("button", name="Open").click()
    expect(page.get_by_text("Session monday has no haadf frame from number 9 on.")).to_be_visible()
    expect(page.get_by_text("No image is open.").first).to_be_visible()
