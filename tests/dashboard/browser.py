"""A real Chromium before a real dashboard with a SIMULATED microscope behind it; one site a session.

    def test_something(tab: Tab) -> None:
        tab.open("/maps")
        expect(tab.page.get_by_role("heading", name="Confidence")).to_be_visible()

`tab` is a fresh browser window with nobody's cookies. It fails the test whose page wrote an error to the
console or asked another machine for anything. `serious_faults(tab.page)` is what axe-core finds. Where the
environment variable EUCENTRIC_SCREENSHOTS names a folder, it also takes the page's picture for the gallery.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect, sync_playwright

from .running_site import RunningSite

__all__ = [
    "CHROMIUM",
    "Tab",
    "chromium",
    "opened_tab",
    "running_site",
    "serious_faults",
    "site_with_edge",
    "tab",
    "watched_tab",
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_PATIENCE_MS = 90_000
"""A page of a loaded machine may take this long to come."""
_PICTURE_COLOURS = 160
_WINDOW: ViewportSize = {"width": 1440, "height": 900}


@dataclass
class Tab:
    """One window of the browser.

    Args:
        page: Playwright's.
        url: of the dashboard, without a slash at the end.
        complaints: what the page wrote to the console as errors, and what it asked other machines for.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        """Go to a page and wait until it is connected."""
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_function("() => window.socket && window.socket.connected")
        return self.page

    def picture(self, name: str) -> None:
        """Take a picture for the documentation, if `EUCENTRIC_SCREENSHOTS` names a folder for them."""
        folder = os.environ.get("EUCENTRIC_SCREENSHOTS")
        if folder is None:
            return
        taken = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        Path(folder).mkdir(parents=True, exist_ok=True)
        # A quarter of the size, and no difference that an eye sees on a dark page.
        taken.quantize(_PICTURE_COLOURS).save(Path(folder) / f"{name}.png", optimize=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; tests skip where there is none.

    One a module: while Playwright is open an event loop counts as running in this thread, so that nothing
    of a later module could run one.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A SIMULATED microscope and a dashboard, both running; nothing scans."""
    site = RunningSite(tmp_path_factory.mktemp("site"))
    try:
        for name in ("agent", "dashboard"):
            site.start(name)
        yield site
    finally:
        site.stop_all()


@pytest.fixture(scope="package")
def site_with_edge(running_site: RunningSite) -> RunningSite:
    """The same with an edge that serves the shipped model of atomic columns."""
    running_site.start("edge")
    running_site.install_model()
    return running_site


@pytest.fixture
def tab(chromium: Browser, running_site: RunningSite) -> Iterator[Tab]:
    """A fresh window before the running site."""
    with watched_tab(chromium, running_site.url) as watched:
        yield watched


@contextmanager
def watched_tab(browser: Browser, url: str, *, patience_ms: float = _PATIENCE_MS) -> Iterator[Tab]:
    """A fresh window that must have nothing to complain of at its end."""
    with opened_tab(browser, url) as opened:
        opened.page.set_default_timeout(patience_ms)
        yield opened
    assert not opened.complaints, "\n".join(opened.complaints)


@contextmanager
def opened_tab(browser: Browser, url: str) -> Iterator[Tab]:
    """A fresh window; its `complaints` gather what the page should not have done."""
    context = browser.new_context(viewport=_WINDOW, color_scheme="dark")
    context.set_default_timeout(_PATIENCE_MS)
    tab = Tab(context.new_page(), url)

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            tab.complaints.append(f"console: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((url, url.replace("http", "ws", 1), "data:", "blob:")):
            tab.complaints.append(f"asked another machine: {request.url}")

    tab.page.on("console", heard)
    tab.page.on("request", asked)
    try:
        yield tab
    finally:
        context.close()


def serious_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page, one line each; empty is good."""
    _keep_picture(page)
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['impact']}: {fault['help']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:5]
    ]


def _keep_picture(page: Page) -> None:
    folder = os.environ.get("EUCENTRIC_SCREENSHOTS")
    if folder:
        name = urlsplit(page.url).path.strip("/").replace("/", "-") or "live"
        page.screenshot(path=Path(folder) / f"{name}.png")
