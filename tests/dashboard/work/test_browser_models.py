"""Models as people at browsers meet them, before a real MLflow."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from ..browser import serious_faults
from .conftest import AsPerson
from .work_site import WorkSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def a_model(site: WorkSite) -> str:
    """Two versions of a model of its own; the first is champion."""
    site.start("mlflow")
    name = f"atoms-{uuid4().hex[:6]}"
    site.register(name, (1, 2))
    site.promote(name, 1, reason="the first one")
    return name


@pytest.fixture
def model(work_site: WorkSite) -> str:
    """A model to do something with."""
    return a_model(work_site)


@pytest.fixture(scope="module")
def looked_at(work_site: WorkSite) -> str:
    """A model that nobody changes."""
    return a_model(work_site)


def open_model(page: Page, url: str, model: str) -> None:
    page.goto(f"{url}/models?model={model}")
    expect(page.get_by_role("table", name=f"Versions of {model}")).to_be_visible()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def test_versions_their_edges_signatures_evidence_and_lineage_are_on_one_page(
    work_site: WorkSite, as_person: AsPerson, model: str
) -> None:
    work_site.attach_evidence(model, 2, 1)
    work_site.registry.nominate(model, 2)
    work_site.registry.deployments.record(model, 1, edge="edge-1", state="serving")
    work_site.registry.deployments.record(model, 2, edge="edge-2", state="refused", reason="golden chip 0")
    page = as_person("ana").page

    open_model(page, work_site.url, model)

    table = page.get_by_role("table", name=f"Versions of {model}")
    expect(table.get_by_role("row").filter(has_text="v1").first).to_contain_text("serving at edge-1")
    expect(table.get_by_text("refused by edge-2: golden chip 0")).to_be_visible()
    expect(table.get_by_text("signed", exact=True)).to_have_count(2)
    compared = page.get_by_role("table", name="Figures of two versions")
    expect(compared.get_by_role("row").filter(has_text="f1")).to_contain_text("+0.01")
    expect(page.get_by_text("Accepted: F1 on recent frames")).to_be_visible()
    picture = page.get_by_role("img", name="challenger: 61 found").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalWidth", 256)
    expect(page.get_by_role("img", name=re.compile(f"Lineage of {model} v1: 2 data sets"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("v1 at edge-1 from .* to now"))).to_be_visible()
    expect(page.get_by_role("table", name="History")).to_contain_text("the first one")
    assert serious_faults(page) == []


def test_a_version_is_promoted_and_rolled_back_from_the_keyboard_with_a_reason(
    work_site: WorkSite, as_person: AsPerson, model: str
) -> None:
    page = as_person("ana").page
    open_model(page, work_site.url, model)

    page.get_by_role("button", name="Promote version 2").focus()
    page.keyboard.press("Enter")
    expect(dialog(page)).to_contain_text("v1 serves now")
    assert serious_faults(page) == []
    dialog(page).get_by_role("button", name="Promote").click()
    expect(dialog(page)).to_contain_text("Say why")
    page.get_by_label("Why").fill("F1 0.92 against 0.91")
    page.keyboard.press("Enter")

    second = page.get_by_role("row").filter(has=page.get_by_role("button", name="Compare version 2"))
    expect(second).to_contain_text("promoted, waiting for edge-1")
    expect(second).to_contain_text("champion")
    page.get_by_role("button", name="Roll back version 1").click()
    page.get_by_label("Why").fill("misses dopants")
    dialog(page).get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("table", name="History")).to_contain_text("misses dopants")
    assert [(one.version, one.who, one.kind) for one in work_site.registry.history(model)] == [
        (1, "ana", "promoted"),
        (2, "ana", "promoted"),
        (1, "ana", "rolled_back"),
    ]


def test_of_two_people_who_press_promote_one_wins_and_the_other_is_told(
    work_site: WorkSite, as_person: AsPerson, model: str
) -> None:
    pages = {"ana": as_person("ana").page, "ben": as_person("ben").page}
    for name, page in pages.items():
        open_model(page, work_site.url, model)
        page.get_by_role("button", name="Promote version 2").click()
        page.get_by_label("Why").fill(f"{name} says so")

    for page in pages.values():
        page.get_by_label("Why").press("Enter")

    told = re.compile(r"While you decided, (ana|ben) made version 2")
    for page in pages.values():
        expect(page.get_by_role("table", name="History")).to_contain_text("says so")
    history = work_site.registry.history(model)
    assert len(history) == 2, "the loser moved nothing"
    loser = pages["ben" if history[-1].who == "ana" else "ana"]
    expect(loser.get_by_text(told)).to_contain_text(f"{history[-1].who} says so")
    expect(loser.get_by_text("your promotion was not carried out")).to_be_visible()


def test_who_only_looks_is_refused_by_the_server(
    work_site: WorkSite, as_person: AsPerson, looked_at: str
) -> None:
    page = as_person("vic").page
    open_model(page, work_site.url, looked_at)

    page.get_by_role("button", name="Promote version 2").click()

    expect(page.get_by_text("This needs the role operator; vic has the role viewer.")).to_be_visible()
    assert len(work_site.registry.history(looked_at)) == 1


def test_without_mlflow_the_page_says_so_keeps_what_it_knows_and_recovers(
    work_site: WorkSite, as_person: AsPerson, looked_at: str
) -> None:
    page = as_person("ana").page
    open_model(page, work_site.url, looked_at)

    work_site.stop("mlflow")
    try:
        expect(page.get_by_text("MLflow does not answer.")).to_be_visible()
        expect(page.get_by_text("This page looks again by itself.")).to_be_visible()
        expect(page.get_by_role("table", name=f"Versions of {looked_at}")).to_be_visible()
        expect(page.get_by_role("button", name="Safe stop")).to_be_enabled()
    finally:
        work_site.start("mlflow")
    expect(page.get_by_text("MLflow does not answer.")).to_be_hidden()
