"""One dashboard before two microscopes: what is shown and done is about the one that was chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .browser import Tab, serious_faults, watched_tab
from .running_site import OPEN, RunningSite, scanning
from .stand_in import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OTHER = "spectra"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A second microscope, of another name."""
    site = RunningSite(tmp_path_factory.mktemp("other"), name=OTHER)
    try:
        site.start("agent")
        yield site
    finally:
        site.stop_all()


@pytest.fixture(scope="module")
def both(
    running_site: RunningSite, other: RunningSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSite]:
    """A dashboard that shows both."""
    agent = other.settings.agent
    more = f"[instruments.{OTHER}]\ncontrol_port = {agent.control_port}\ndata_port = {agent.data_port}"
    site = RunningSite(tmp_path_factory.mktemp("both"), more=f"{OPEN}\n{more}", beside=running_site)
    try:
        site.start("dashboard")
        yield site
    finally:
        site.stop_all()


@pytest.fixture
def tab(chromium: Browser, both: RunningSite) -> Iterator[Tab]:
    with watched_tab(chromium, both.url) as watched:
        yield watched


def choose(page: Page, shown: str, wanted: str) -> None:
    page.get_by_role("button", name=shown, exact=False).first.click()
    page.get_by_role("menuitem", name=wanted).click()
    page.wait_for_url(f"**?instrument={wanted}")
    page.wait_for_function("() => window.socket && window.socket.connected")


def test_the_chosen_instrument_stays_chosen_from_page_to_page(tab: Tab) -> None:
    page = tab.open("/")
    choose(page, "titan", OTHER)
    expect(page.get_by_role("button", name=OTHER)).to_be_visible()
    assert serious_faults(page) == []
    rail = page.get_by_role("navigation", name="Pages")
    rail.get_by_role("link", name="Maps").click()
    expect(page.get_by_role("link", name="Maps")).to_have_attribute("aria-current", "page")
    assert page.url.endswith(f"/maps?instrument={OTHER}")
    choose(page, OTHER, "titan")
    assert "/maps" in page.url, "another instrument is shown on the same page"


def test_lease_and_safe_stop_are_those_of_the_instrument_that_is_shown(
    tab: Tab, running_site: RunningSite, other: RunningSite
) -> None:
    with scanning(running_site, session="first"), scanning(other, session="second") as steered:
        page = tab.open(f"/?instrument={OTHER}")
        expect(page.get_by_text("second", exact=True)).to_be_visible()
        expect(page.get_by_text("ON SAMPLE")).to_be_visible()
        page.get_by_role("button", name="Safe stop").click()
        expect(page.get_by_text("Safe stop done").first).to_be_visible()
        assert steered.state().beam_blanked
        with running_site.scope("watcher") as first:
            assert not first.state().beam_blanked, "the other microscope goes on"
            assert first.state().scanning
    page.get_by_role("button", name="Request").click()
    with other.scope("watcher") as second, running_site.scope("watcher") as first:
        assert eventually(lambda: second.lease().holder is not None)
        assert first.lease().holder is None


def test_an_instrument_that_is_not_there_is_told_with_those_that_are(tab: Tab) -> None:
    page = tab.page
    answer = page.goto(f"{tab.url}/?instrument=krios")
    assert answer is not None
    expect(page.get_by_text("krios").first).to_be_visible()
    expect(page.get_by_role("link", name=OTHER)).to_be_visible()
