"""Which instrument a page shows, and who is logged in."""

from __future__ import annotations

from nicegui import ui

from ._visit import Visit

__all__ = ["build_instrument_chooser", "build_whose"]


def build_instrument_chooser(visit: Visit) -> None:
    """The instrument's name; with several, a list to choose from."""
    name = visit.settings.agent.name
    if len(visit.instruments) < 2:
        ui.label(name).classes("instrument").mark("instrument")
        return
    chooser = ui.button(name, icon="expand_more", color=None).props("flat no-caps dense")
    with chooser.classes("instrument"), ui.menu():
        for other in visit.instruments:
            item = ui.menu_item(other, on_click=lambda other=other: ui.navigate.to(f"?instrument={other}"))
            item.props("role=menuitem")


def build_whose(visit: Visit) -> None:
    """Name and role, and the way out."""
    with ui.element("div").classes("whose"):
        ui.label(visit.person.name).classes("who")
        ui.label(visit.person.role).classes("hint")
        if visit.logs_in:
            # A form and no link: a state-changing request that the gate checks for its origin.
            ui.html(
                '<form method="post" action="/logout"><button type="submit">Log out</button></form>',
                sanitize=False,
            )
