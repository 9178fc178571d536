"""One hub with a dashboard for all tests of the working pages, and people before it, each with a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from ..browser import Tab, opened_tab
from .work_site import PASSWORD, WorkSite

__all__ = ["AsPerson"]

AsPerson = Callable[[str], Tab]
"""Opens a window and logs a person in."""


@pytest.fixture(scope="package")
def work_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkSite]:
    """A dashboard; tests that need MLflow, Prefect or the flow service start them."""
    site = WorkSite(tmp_path_factory.mktemp("work"))
    try:
        site.start("dashboard")
        yield site
    finally:
        site.stop_all()


@pytest.fixture
def as_person(chromium: Browser, work_site: WorkSite) -> Iterator[AsPerson]:
    """`as_person("ana")`: a window in which she is logged in. No page may complain by the end."""
    tabs: list[Tab] = []
    with ExitStack() as stack:

        def open_for(name: str) -> Tab:
            tab = stack.enter_context(opened_tab(chromium, work_site.url))
            tab.page.goto(f"{work_site.url}/login")
            tab.page.get_by_label("Name").fill(name)
            tab.page.get_by_label("Password").fill(PASSWORD)
            tab.page.get_by_role("button", name="Log in").click()
            tab.page.wait_for_url(f"{work_site.url}/**")
            tabs.append(tab)
            return tab

        yield open_for
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    assert not complaints, "\n".join(complaints)
