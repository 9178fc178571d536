"""What a person at a browser meets on every page: strip, navigation, login, steering, a loss that is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from eucentric_core import Role
from eucentric_dashboard.login import People

from .browser import Tab, opened_tab, serious_faults
from .running_site import RunningSite, scanning
from .stand_in import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_COLOURED = """() => {
    const copy = new OffscreenCanvas(64, 64).getContext("2d");
    copy.drawImage(document.querySelector(".lv-stage canvas"), 0, 0, 64, 64);
    const { data } = copy.getImageData(0, 0, 64, 64);
    for (let at = 0; at < data.length; at += 4) if (data[at] !== data[at + 2]) return true;
    return false;
}"""
"""Viridis is not grey."""

PASSWORD = "correct horse battery"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def locked_site(running_site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A second dashboard before the same microscope, at which people log in."""
    site = RunningSite(tmp_path_factory.mktemp("locked"), more="", beside=running_site)
    people = People.of(site.settings)
    for name, role in (("ada", Role.SCIENTIST), ("bob", Role.OPERATOR), ("eve", Role.VIEWER)):
        people.accounts.add(name, role, PASSWORD)
    people.close()
    try:
        site.start("dashboard")
        yield site
    finally:
        site.stop_all()


def log_in(tab: Tab, name: str) -> Page:
    page = tab.page
    page.goto(f"{tab.url}/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Safe stop")).to_be_visible()
    return page


def test_every_page_opens_with_strip_and_navigation_and_without_serious_faults(tab: Tab) -> None:
    page = tab.open("/")
    expect(page.get_by_text("SIMULATED", exact=True)).to_be_visible()
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    faults: list[str] = []
    for address in [link.get_attribute("href") or "" for link in links.all()]:
        tab.open(address)
        expect(page.locator("[aria-current=page]")).to_have_count(1)
        expect(page.get_by_role("button", name="Safe stop")).to_be_enabled()
        faults += [f"{address}: {fault}" for fault in serious_faults(page)]
    assert not faults, "\n".join(faults)


def test_the_login_page_has_no_serious_faults_and_names_what_needs_no_login(
    chromium: Browser, locked_site: RunningSite
) -> None:
    with opened_tab(chromium, locked_site.url) as tab:
        page = tab.page
        page.goto(f"{tab.url}/")
        expect(page.get_by_role("heading", name="Eucentric")).to_be_visible()
        expect(page.get_by_text("eucentric stop")).to_be_visible()
        tab.picture("login")
        assert serious_faults(page) == []
        assert tab.complaints == []


def test_the_lease_is_requested_taken_over_by_role_and_ends_with_the_page(
    chromium: Browser, locked_site: RunningSite
) -> None:
    with (
        locked_site.scope("watcher") as scope,
        opened_tab(chromium, locked_site.url) as of_ada,
        opened_tab(chromium, locked_site.url) as of_eve,
    ):
        ada, eve = log_in(of_ada, "ada"), log_in(of_eve, "eve")
        expect(eve.get_by_role("button", name="Request")).to_be_hidden()

        ada.get_by_role("button", name="Request").click()

        expect(ada.get_by_text("you ·")).to_be_visible()
        assert scope.lease().holder == "ada"
        expect(eve.get_by_text("ada ·")).to_be_visible()
        expect(eve.get_by_role("button", name="Take over")).to_be_hidden()

        with opened_tab(chromium, locked_site.url) as of_bob:
            bob = log_in(of_bob, "bob")
            bob.get_by_role("button", name="Take over").click()
            bob.get_by_label("Reason").fill("the stage drifts")
            bob.get_by_role("dialog").get_by_role("button", name="Take over").click()
            expect(bob.get_by_text("you ·")).to_be_visible()
            status = scope.lease()
            assert (status.holder, status.reason) == ("bob", "the stage drifts")
            expect(ada.get_by_text("bob ·")).to_be_visible()

        # Bob's page is gone: nobody looks after the instrument any more.
        assert eventually(lambda: scope.lease().holder is None, timeout_s=60)
        assert scope.state().beam_blanked


def test_an_account_that_is_removed_can_do_nothing_more_from_an_open_page(
    chromium: Browser, locked_site: RunningSite
) -> None:
    people = People.of(locked_site.settings)
    try:
        people.accounts.add("max", Role.SCIENTIST, PASSWORD)
        with opened_tab(chromium, locked_site.url) as tab:
            page = log_in(tab, "max")
            expect(page.get_by_role("button", name="Request")).to_be_visible()

            people.accounts.remove("max")

            expect(page.get_by_text("Your login has ended.")).to_be_visible()
            page.get_by_role("button", name="Request").click(force=True)
            expect(page.get_by_text("log in again", exact=False).first).to_be_visible()
            page.get_by_role("button", name="Safe stop").click()
            expect(page.get_by_text("Safe stop done").first).to_be_visible()
    finally:
        people.close()
    with locked_site.scope("watcher") as scope:
        assert scope.lease().holder != "max"


def test_safe_stop_by_two_presses_of_escape_blanks_and_is_told(tab: Tab, running_site: RunningSite) -> None:
    page = tab.open("/")
    with running_site.scope("watcher") as scope, scanning(running_site, session="stopped"):
        expect(page.get_by_text("ON SAMPLE")).to_be_visible()

        page.keyboard.press("Escape")
        page.keyboard.press("Escape")

        expect(page.get_by_text("Safe stop done").first).to_be_visible()
        assert scope.state().beam_blanked


def test_the_live_image_is_drawn_with_its_legend_and_stays_when_zoomed_and_coloured(
    tab: Tab, site_with_edge: RunningSite
) -> None:
    page = tab.open("/")
    with scanning(site_with_edge, session="live"):
        drawn = "() => window.eucentricLive.drawn"
        page.wait_for_function(f"({drawn})() > 3")
        expect(page.get_by_role("button", name="column")).to_be_visible()
        tab.picture("live")
        page.get_by_role("group", name="Live image").focus()
        for key in ("+", "+", "ArrowLeft"):
            page.keyboard.press(key)
        expect(page.get_by_text("2.3 ×")).to_be_visible()
        page.get_by_label("Colours").select_option("viridis")
        page.get_by_label("Uncertainty", exact=True).check()
        before = page.evaluate(drawn)
        page.wait_for_function(f"({drawn})() > {before + 3}")
        page.get_by_label("Positions").fill("0")
        page.wait_for_function(_COLOURED)
        page.get_by_role("button", name="Hold").click()
        expect(page.get_by_text("NOT LIVE · held")).to_be_visible()


def test_the_fleet_names_who_answers_and_the_audit_log_who_did_what(
    tab: Tab, site_with_edge: RunningSite
) -> None:
    page = tab.open("/fleet")
    expect(page.get_by_role("row", name="agent titan")).to_contain_text("ready")
    expect(page.get_by_role("row", name="edge")).to_contain_text("serving")
    tab.picture("fleet")
    with site_with_edge.scope("a-notebook") as scope, scope.control(reason="to be found in the log"):
        pass

    tab.open("/audit")

    expect(page.get_by_text("chain holds")).to_be_visible()
    tab.picture("audit")
    page.get_by_label("Anywhere in it").fill("a-notebook found")
    row = page.get_by_role("row", name="a-notebook")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("lease.request")
    with page.expect_download() as download:
        page.get_by_role("button", name="csv").click()
    assert "to be found in the log" in download.value.path().read_text()


def test_a_lost_network_is_told_and_the_page_goes_on_by_itself(tab: Tab) -> None:
    page = tab.open("/")
    expect(page.get_by_text("SIMULATED", exact=True)).to_be_visible()

    page.context.set_offline(True)

    expect(page.get_by_role("alert").filter(has_text="lost the dashboard")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("alert").filter(has_text="lost the dashboard")).to_be_hidden()
    expect(page.get_by_text("SIMULATED", exact=True)).to_be_visible()
    tab.complaints.clear()


def test_a_dashboard_that_restarts_is_told_and_its_pages_come_back(
    tab: Tab, running_site: RunningSite
) -> None:
    page = tab.open("/")

    running_site.stop("dashboard")

    try:
        expect(page.get_by_role("alert").filter(has_text="lost the dashboard")).to_be_visible()
    finally:
        running_site.start("dashboard")
    expect(page.get_by_role("alert").filter(has_text="lost the dashboard")).to_be_hidden()
    expect(page.get_by_text("SIMULATED", exact=True)).to_be_visible()
    tab.complaints.clear()


def test_an_agent_that_restarts_is_told_and_live_again(tab: Tab, running_site: RunningSite) -> None:
    page = tab.open("/")
    expect(page.get_by_text("SIMULATED", exact=True)).to_be_visible()

    running_site.stop("agent")

    try:
        expect(page.get_by_text("The agent at")).to_be_visible()
    finally:
        running_site.start("agent")
    expect(page.get_by_text("The agent at")).to_have_count(0)
    expect(page.get_by_text("blanked", exact=True)).to_be_visible()
