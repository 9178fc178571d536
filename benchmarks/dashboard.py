"""The dashboard in a real Chromium before a SIMULATED microscope that scans 512 px: how quick, at what cost.

Keys, on one machine that runs all of it, browsers included:

- `page_ready_s`: from nothing to a page with which one can do something; a fresh window each time, median;
  `page_ready_scanning_s` is the same while the simulated microscope scans on the same cores;
- `fps_1_viewer`, `fps_10_viewers`: frames per second drawn on the canvas; of the slowest of ten windows, each
  of 1440 x 900 px and a profile of its own (see `_dashboard_windows.py` for why no test tool watches them);
- `control_p99_ratio_10_viewers`, `acquisition_ratio_10_viewers`: p99 of `stage.get`, and the time per frame,
  with ten viewers of ten frames per second and one that stalls, over that without; medians of rounds that
  alternate. The viewers have the lowest priority here, because they run on other machines than the
  microscope's in a laboratory; the dashboard has the one that it gives itself;
- `lost_network_told_s`, `lost_server_told_s`, `lost_agent_told_s`: from the loss to the page that says so;
- `support_to_map_s`: see `_dashboard_support.py`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _dashboard_windows import Windows
from _harness import arguments, quantile, report
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.dashboard.browser import CHROMIUM, opened_tab
from tests.dashboard.running_site import RunningSite, scanning

from eucentric_core import SteeringClient

SIDE_PX = 512
ACQUIRED_PER_S = 30.0
VIEWERS = 10
VIEWER_FRAMES_PER_S = 10.0
_READY_TIMES = 7
_PATIENCE_MS = 60_000
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_LIVE = "window.eucentricLive"
_READY = """window.socket?.connected
    && [...document.querySelectorAll(".simulated")].some((badge) => badge.offsetParent !== null)
    && [...document.querySelectorAll(".stop button")].some((button) => !button.disabled)"""
_WATCH_LOSS = """(words) => {
    window.lostAt = performance.timeOrigin + performance.now();
    window.toldAt = null;
    const watch = setInterval(() => {
        if (!document.body.innerText.includes(words)) return;
        window.toldAt = performance.timeOrigin + performance.now();
        clearInterval(watch);
    }, 50);
}"""


def page_ready_s(windows: Windows, url: str, times: int) -> list[float]:
    """Seconds until the page is connected, says SIMULATED and has its Safe stop; each in a fresh window."""
    found = []
    for _ in range(times):
        window = windows.blank()
        began_s = time.monotonic()
        windows.call("Page.navigate", {"url": url}, window)
        windows.wait_for(window, _READY)
        found.append(time.monotonic() - began_s)
        windows.close(window)
    return found


def fps(windows: Windows, url: str, viewers: int, seconds: float) -> list[float]:
    """Frames per second that each of so many windows draws, all open at once, by their own clocks."""
    opened = [windows.open(f"{url}/") for _ in range(viewers)]
    for window in opened:
        windows.wait_for(window, f"{_LIVE}?.drawn > 10")
    before = [windows.evaluate(window, _LIVE) for window in opened]
    time.sleep(seconds)
    after = [windows.evaluate(window, _LIVE) for window in opened]
    for window in opened:
        windows.close(window)
    return [
        1e3 * (last["drawn"] - first["drawn"]) / (last["drawnAt"] - first["drawnAt"])
        for first, last in zip(before, after, strict=True)
    ]


@contextmanager
def viewers(url: str) -> Iterator[None]:
    """Ten viewers and one that stalls, in a process of their own."""
    script = Path(__file__).with_name("_dashboard_viewers.py")
    asked = [url, str(VIEWERS), str(VIEWER_FRAMES_PER_S), "--stalled", "1"]
    process = subprocess.Popen(
        [sys.executable, str(script), *asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the viewers did not start")
        yield
        out, _ = process.communicate(timeout=30)
        taken = json.loads(out.splitlines()[-1])
        if min(taken[:VIEWERS]) < VIEWER_FRAMES_PER_S / 3:
            raise RuntimeError(f"the viewers were not served: {taken} frames/s")
    finally:
        process.kill()
        process.wait()


def control_and_acquisition(scope: SteeringClient, seconds: float) -> tuple[float, float]:
    """p99 of `stage.get` in seconds, and seconds per frame, over the same time."""
    first, began_s = scope.state().next_sequence, time.monotonic()
    took = []
    while time.monotonic() - began_s < seconds:
        asked_s = time.monotonic()
        scope.stage()
        took.append(time.monotonic() - asked_s)
        time.sleep(0.004)
    frames = scope.state().next_sequence - first
    return quantile(took, 0.99), (time.monotonic() - began_s) / max(1, frames)


def cost_of_viewers(
    site: RunningSite, scope: SteeringClient, rounds: int, seconds: float
) -> dict[str, float]:
    """The two ratios, from rounds that alternate."""
    without, with_them = [], []
    for _ in range(rounds):
        without.append(control_and_acquisition(scope, seconds))
        with viewers(site.url):
            time.sleep(1.0)
            with_them.append(control_and_acquisition(scope, seconds))
    p99_s = [statistics.median(p99 for p99, _ in found) for found in (without, with_them)]
    frame_s = [statistics.median(frame for _, frame in found) for found in (without, with_them)]
    return {
        "control_p99_ratio_10_viewers": round(p99_s[1] / p99_s[0], 3),
        "control_p99_without_ms": round(p99_s[0] * 1e3, 2),
        "control_p99_with_ms": round(p99_s[1] * 1e3, 2),
        "acquisition_ratio_10_viewers": round(frame_s[1] / frame_s[0], 3),
        "acquired_per_s": round(1 / frame_s[0], 2),
    }


def told_after_s(page: Page, words: str) -> float:
    """Seconds between the call of `_WATCH_LOSS` and the words on the page."""
    page.wait_for_function("() => window.toldAt !== null", timeout=_PATIENCE_MS)
    return float(page.evaluate("() => (window.toldAt - window.lostAt) / 1000"))


def losses(browser: Browser, site: RunningSite) -> dict[str, float]:
    """How long a page takes to say that network, server and agent are lost."""
    found = {}
    with opened_tab(browser, site.url) as tab:
        page = tab.open("/")
        lost = "has lost the dashboard"
        page.evaluate(_WATCH_LOSS, lost)
        page.context.set_offline(True)
        found["lost_network_told_s"] = told_after_s(page, lost)
        page.context.set_offline(False)
        expect(page.get_by_text(lost)).to_be_hidden()
        page.wait_for_function("() => window.socket && window.socket.connected")
        page.evaluate(_WATCH_LOSS, "The agent at")
        site.stop("agent")
        found["lost_agent_told_s"] = told_after_s(page, "The agent at")
        site.start("agent")
        page.evaluate(_WATCH_LOSS, lost)
        site.stop("dashboard")
        found["lost_server_told_s"] = told_after_s(page, lost)
        site.start("dashboard")
        expect(page.get_by_text(lost)).to_be_hidden()
    return {key: round(value, 2) for key, value in found.items()}


def readiness(windows: Windows, url: str, key: str) -> dict[str, float]:
    """How soon the page is there: median and slowest."""
    ready_s = page_ready_s(windows, url, _READY_TIMES)
    return {f"{key}_s": round(statistics.median(ready_s), 2), f"{key}_worst_s": round(max(ready_s), 2)}


def speed(windows: Windows, url: str, seconds: float) -> dict[str, float]:
    """How often one window draws, and each of ten."""
    one, ten = fps(windows, url, 1, seconds), fps(windows, url, VIEWERS, seconds)
    return {
        "fps_1_viewer": round(one[0], 1),
        "fps_10_viewers": round(min(ten), 1),
        "fps_10_viewers_mean": round(statistics.mean(ten), 1),
    }


def support_to_map(quick: bool) -> dict[str, float]:
    """What `_dashboard_support.py` measures, with a site of its own."""
    if quick:
        return {}
    script = Path(__file__).with_name("_dashboard_support.py")
    done = subprocess.run(
        [sys.executable, str(script), "--json"], capture_output=True, text=True, timeout=300, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__ or "").parse_args()
    if CHROMIUM is None:
        raise SystemExit("no Chromium on this machine (apt-get install chromium)")
    seconds, rounds = (4.0, 3) if options.quick else (8.0, 3)
    expect.set_options(timeout=_PATIENCE_MS)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="eucentric-") as folder:
        site = RunningSite(Path(folder))
        try:
            site.start("agent")
            site.start("dashboard")
            with Windows(CHROMIUM) as windows:
                figures |= readiness(windows, site.url, "page_ready")
            with scanning(site, side_px=SIDE_PX, frames_per_s=ACQUIRED_PER_S, session="bench") as scope:
                with Windows(CHROMIUM) as windows:
                    figures |= readiness(windows, site.url, "page_ready_scanning")
                    figures |= speed(windows, site.url, 4.0 if options.quick else 8.0)
                figures |= cost_of_viewers(site, scope, rounds, seconds)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
                figures |= losses(browser, site)
                browser.close()
        finally:
            site.stop_all()
    figures |= support_to_map(options.quick)
    report(figures, as_json=options.json, packages=("nicegui", "playwright"))


if __name__ == "__main__":
    main()
