"""The page: strip on top, what is amiss below it, then the image beside its course and the runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nicegui import ui

from eucentric_core import utc_now

from ._course import CoursePanel
from ._hub import LiveHub
from ._live_panel import LivePanel
from ._runs import RunsPanel
from ._strip import StatusStrip
from ._words import Notice, notices

__all__ = ["build_page"]

_IMAGE_PERIOD_S = 1 / 12
_STRIP_PERIOD_S = 0.5
_SLOW_PERIOD_S = 1.0


class _NoticeList:
    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._shown: tuple[Notice, ...] = ()
        self._place = ui.element("div").classes("stack").style("gap:8px; width:100%").props("role=status")
        self._place.mark("notices")

    def refresh(self) -> None:
        hub = self._hub
        found = notices(
            hub.settings,
            hub.agent,
            hub.edge,
            hub.figures(),
            hub.events,
            now_s=time.monotonic(),
            now_utc=utc_now(),
        )
        if found == self._shown:
            return
        self._shown = found
        self._place.clear()
        with self._place:
            for notice in found:
                with ui.element("div").classes(f"notice {notice.level}"):
                    ui.label(notice.what).classes("what")
                    ui.label(f"Safe: {notice.safe}  Next: {notice.next_step}").classes("then")


def build_page(hub: LiveHub) -> None:
    """Build the page for one viewer; everybody's pages show the one hub."""
    ui.page_title(f"Eucentric · {hub.settings.agent.name}")
    ui.add_css(Path(__file__).with_name("style.css"))
    strip = StatusStrip(hub)
    noticed = _NoticeList(hub)
    with ui.element("div").classes("columns"):
        with ui.element("div").classes("stack"):
            live = LivePanel(hub)
        with ui.element("div").classes("stack"):
            course, runs = CoursePanel(hub), RunsPanel(hub)
    _every(_STRIP_PERIOD_S, strip.refresh, noticed.refresh)
    _every(_IMAGE_PERIOD_S, live.refresh)
    _every(_SLOW_PERIOD_S, course.refresh, runs.refresh)


def _every(period_s: float, *refreshes: Callable[[], None]) -> None:
    def refresh_all() -> None:
        for refresh in refreshes:
            refresh()

    refresh_all()
    ui.timer(period_s, refresh_all)
