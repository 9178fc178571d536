"""How long it takes from a changed support set to the class map that a person sees, in a real Chromium.

Part of `benchmarks/dashboard.py`, which gives `support_to_map_s`; alone, with a SIMULATED site of its own:

    python benchmarks/_dashboard_support.py --json

`support_to_map_s` is the median of ten clicks, each on another chip of an image of 36 chips of 64 px: from
the press of the mouse to the second animation frame after the map of the new set has come; `..._worst_s` is
the slowest of them. `send_to_live_map_s` is the median time from the press on "Send to the edge" to the first
live frame that is shown with the new classes.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

import _harness as harness
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.dashboard.browser import CHROMIUM, opened_tab
from tests.dashboard.running_site import scanning
from tests.dashboard.studio.chips_site import CHIP_PX, COLUMNS, ROWS, ChipsSite, write_textures

_PATIENCE_MS = 120_000
_CLICKS = 10
_SENDS = 5
_WATCH = """() => {
    const canvas = document.querySelector(".chip-canvas");
    window.measured = [];
    let pressed = null;
    window.wanted = "";
    window.addEventListener("pointerdown", () => { pressed = performance.now(); }, true);
    new MutationObserver(() => {
        if (pressed === null || !canvas.dataset.map.includes(window.wanted)) return;
        const began = pressed;
        pressed = null;
        // What has come is drawn with the next frame of the browser.
        const drawn = () => window.measured.push(performance.now() - began);
        requestAnimationFrame(() => requestAnimationFrame(drawn));
    }).observe(canvas, { attributes: true, attributeFilter: ["data-map"] });
}"""


def measure_support_to_map(page: Page, url: str, site: ChipsSite, textures: Path) -> dict[str, float]:
    """Label, change, send.

    Args:
        page: of a Chromium, used by nobody else.
        url: of the dashboard.
        site: whose edge serves a few-shot model, and whose microscope nobody steers.
        textures: what `write_textures` wrote.
    """
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(f"{url}/studio")
    page.wait_for_function("() => window.socket && window.socket.connected")
    page.set_input_files("input[type=file]", textures)
    page.get_by_label("Chip (px)").fill(str(CHIP_PX))
    page.get_by_text(f"{ROWS} × {COLUMNS} = {ROWS * COLUMNS} chips").wait_for()
    _click(page, [(0, 0), (5, 1)])
    page.keyboard.press("2")
    _click(page, [(0, 2), (5, 3)])
    page.wait_for_function("() => document.querySelector('.chip-canvas').dataset.map !== ''")
    page.evaluate(_WATCH)
    places = [(row, column) for row in range(1, ROWS - 1) for column in (2, 3)] + [(0, 3), (5, 2)]
    for count, place in enumerate(places[:_CLICKS], 1):
        _click(page, [place])
        page.wait_for_function(f"() => window.measured.length === {count}")
    clicks_s = [value / 1e3 for value in page.evaluate("() => window.measured")]

    page.evaluate("() => { window.measured = []; }")
    with scanning(site):
        page.get_by_text("Live", exact=True).last.click()
        page.wait_for_function("() => document.querySelector('.chip-canvas').dataset.map.includes('a|b')")
        for count in range(1, _SENDS + 1):
            page.evaluate("() => { window.wanted = 'class 1|class 2'; }")
            page.get_by_role("button", name="Send to the edge").click()
            page.wait_for_function(f"() => window.measured.length === {count}")
            page.evaluate("() => { window.wanted = 'nothing more'; }")
            page.get_by_role("button", name="Give back its own classes").click()
            page.wait_for_function("() => document.querySelector('.chip-canvas').dataset.map.includes('a|b')")
    sends_s = [value / 1e3 for value in page.evaluate("() => window.measured")]
    return {
        "support_to_map_s": round(statistics.median(clicks_s), 3),
        "support_to_map_worst_s": round(max(clicks_s), 3),
        "send_to_live_map_s": round(statistics.median(sends_s), 3),
    }


def _click(page: Page, places: list[tuple[int, int]]) -> None:
    canvas = page.locator(".chip-canvas canvas")
    box = canvas.bounding_box()
    if box is None:
        raise RuntimeError("the studio shows no image")
    side = box["width"] / COLUMNS
    for row, column in places:
        canvas.click(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})


def main() -> None:
    """Measure on a site of its own, and report."""
    parser = harness.arguments(__doc__ or "")
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("no Chromium on this machine (apt-get install chromium)")
    with tempfile.TemporaryDirectory(prefix="eucentric-dashboard-") as folder:
        site = ChipsSite(Path(folder))
        try:
            site.start_all()
            textures = write_textures(Path(folder))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
                )
                with opened_tab(browser, site.url) as tab:
                    found = measure_support_to_map(tab.page, site.url, site, textures)
                browser.close()
        finally:
            site.stop_all()
    if options.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:24} {value:.3f}")


if __name__ == "__main__":
    main()
