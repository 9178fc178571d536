"""The way from page to page: a rail of links at the left, in the order of the list of pages."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from nicegui import ui

from ._pages import Page
from ._roles import may
from ._visit import Visit

__all__ = ["address_of", "build_navigation"]


def address_of(path: str, visit: Visit) -> str:
    """Where a page of the same instrument is."""
    return f"{path}?{urlencode({'instrument': visit.settings.agent.name})}"


def build_navigation(shown: Page, visit: Visit, pages: Sequence[Page]) -> None:
    """Links to the pages that this person may open."""
    with (
        ui.left_drawer(fixed=True, value=True, bordered=False, elevated=False)
        .props("width=84 behavior=desktop")
        .classes("rail"),
        ui.element("nav").props("aria-label='Pages'"),
    ):
        for page in pages:
            if not may(visit, page.least_role):
                continue
            with ui.link(target=address_of(page.path, visit)).classes("place") as link:
                ui.icon(page.icon).props("aria-hidden=true")
                ui.label(page.title)
            if page is shown:
                link.classes("here").props("aria-current=page")
