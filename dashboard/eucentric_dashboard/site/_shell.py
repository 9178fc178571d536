"""What surrounds every page: strip, navigation, notices; and a page that cannot be built says why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from nicegui import ui

from eucentric_core import ConfigurationError, EucentricError

from ._navigation import build_navigation
from ._notices import NoticeList
from ._pages import Page
from ._panels import fill_error
from ._roles import require_role
from ._strip import StatusStrip
from ._visit import Visit

__all__ = ["open_nowhere", "open_page"]

_PERIOD_S = 0.5
_STYLE = Path(__file__).with_name("style.css")
_PULSE = Path(__file__).with_name("pulse.js").read_text(encoding="utf-8")


def open_nowhere(wanted: str, instruments: Sequence[str]) -> None:
    """A link names an instrument that is not shown here: another in its place would be steered by mistake."""
    ui.page_title("Eucentric")
    ui.add_css(_STYLE)
    with ui.element("main").classes("content"):
        fill_error(
            ConfigurationError(
                f"This dashboard shows no instrument {wanted[:100]!r}.",
                safe="nothing was opened and nothing can be steered from here.",
                next_step="choose one of those below, or correct the address.",
            )
        )
        with ui.element("nav").props("aria-label=Instruments").classes("line"):
            for name in instruments:
                ui.link(name, f"?{urlencode({'instrument': name})}")


def open_page(page: Page, visit: Visit, pages: Sequence[Page]) -> None:
    """Build `page` for one viewer, inside the shell."""
    ui.page_title(f"{page.title} · {visit.settings.agent.name} · Eucentric")
    ui.add_css(_STYLE)
    instrument = json.dumps(visit.settings.agent.name)
    ui.add_body_html(f"<script>window.eucentricInstrument = {instrument};{_PULSE}</script>")
    ui.colors(primary="#2f7fb8", negative="#c8281c", positive="#2a8a5f", warning="#e8b64c")
    strip = StatusStrip(visit)
    build_navigation(page, visit, pages)
    with ui.element("div").classes("content").props("id=content tabindex=-1") as content:
        noticed = NoticeList(visit.hub)
        try:
            require_role(visit, page.least_role)
            page.build(visit)
        except EucentricError as error:
            fill_error(error)

    def refresh() -> None:
        strip.refresh()
        if not visit.still_in():
            # What is on the page goes; the strip stays, because Safe stop is in it.
            content.clear()
            return
        noticed.refresh()

    refresh()
    ui.timer(_PERIOD_S, refresh)
