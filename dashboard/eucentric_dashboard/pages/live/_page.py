"""The live page: the image beside its course and the runs."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from ...site import Visit
from ._course import CoursePanel
from ._live_panel import LivePanel
from ._runs import RunsPanel

__all__ = ["build_live"]

_PERIOD_S = 1.0
_STYLE = Path(__file__).with_name("style.css")


def build_live(visit: Visit) -> None:
    """Build the page for one viewer; everybody's pages show the one hub."""
    ui.add_css(_STYLE)
    with ui.element("div").classes("columns live"):
        with ui.element("div").classes("stack"):
            live = LivePanel(visit.hub)
        with ui.element("div").classes("stack"):
            course, runs = CoursePanel(visit.hub), RunsPanel(visit.hub)

    def refresh() -> None:
        for panel in (live, course, runs):
            panel.refresh()

    # The course comes with the first tick of the timer, when the page is already there to be used.
    live.refresh()
    runs.refresh()
    ui.timer(_PERIOD_S, refresh)
