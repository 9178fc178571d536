"""Data as people at browsers meet it: a real catalogue with recorded, SIMULATED sessions."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import expect

from eucentric_data_repository import open_catalogue

from ..browser import serious_faults
from .conftest import AsPerson
from .work_site import WorkSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_session_is_found_by_its_picture_described_and_opened_elsewhere(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    flake = work_site.record("flake-a", 4)
    work_site.record("grain-b", 2)
    page = as_person("sam").page
    page.goto(f"{work_site.url}/data")
    expect(page.get_by_role("button", name="Show microscope-1.grain-b")).to_be_visible()

    page.get_by_label("Session").fill("flake-a")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    session = page.get_by_role("button", name=f"Show {flake}")
    expect(session.locator("img")).to_have_js_property("naturalWidth", 64)
    session.focus()
    page.keyboard.press("Enter")

    expect(
        page.get_by_text("1 shards arrived, the SHA-256 of each was confirmed; 1 receipts given")
    ).to_be_visible()
    expect(page.get_by_text("stream haadf: 4 frames, 64 x 64 uint16")).to_be_visible()
    page.get_by_label("Add a tag").fill("charging")
    page.keyboard.press("Enter")
    expect(page.get_by_text("tags: charging")).to_be_visible()
    page.get_by_label("Add a note").fill("drifts to the left")
    page.get_by_role("button", name="Save note").click()
    expect(page.get_by_text(re.compile("sam: drifts to the left"))).to_be_visible()
    page.get_by_role("button", name="napari", exact=True).click()
    expect(page.get_by_label("Lines to copy")).to_contain_text("viewer.add_image(frames")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Notebook").click()
    assert taken.value.suggested_filename == f"{flake}-napari.ipynb"
    assert serious_faults(page) == []
    page.get_by_label("Session").fill("")
    page.get_by_label("Text").fill("drifts to the left")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    with open_catalogue(work_site.settings) as catalogue:
        assert [note.by for note in catalogue.dataset(flake).notes] == ["sam"]


def test_who_only_looks_writes_nothing(work_site: WorkSite, as_person: AsPerson) -> None:
    dataset = work_site.record("flake-c", 2)
    page = as_person("vic").page
    page.goto(f"{work_site.url}/data?dataset={dataset}")

    page.get_by_label("Add a note").fill("mine")
    page.get_by_role("button", name="Save note").click()

    expect(page.get_by_text("This needs the role scientist; vic has the role viewer.")).to_be_visible()


def test_without_a_catalogue_the_page_says_what_to_do_and_finds_it_when_it_is_back(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    work_site.record("flake-d", 2)
    root = work_site.settings.repository_path
    away = root.with_name("away")
    page = as_person("sam").page
    page.goto(f"{work_site.url}/data")
    expect(page.get_by_role("button", name="Show microscope-1.flake-d")).to_be_visible()

    shutil.move(root / "catalogue.sqlite", away)
    try:
        page.reload()
        expect(page.get_by_role("alert").filter(has_text="catalogue")).to_be_visible()
        expect(page.get_by_role("heading", name="Transfers")).to_be_visible()
    finally:
        shutil.move(away, root / "catalogue.sqlite")
    expect(page.get_by_role("button", name="Show microscope-1.flake-d")).to_be_visible()
