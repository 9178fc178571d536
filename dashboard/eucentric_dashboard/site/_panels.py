"""What stands where there is nothing to show: what is so, what is safe, what to do next."""

from __future__ import annotations

from html import escape

from nicegui import ui

from eucentric_core import EucentricError

__all__ = ["empty_panel", "error_panel", "fill_error", "heading", "offline_panel"]


def heading(text: str, *, level: int = 2) -> ui.element:
    """A heading that assistive technology knows as one."""
    return ui.html(escape(text), sanitize=False, tag=f"h{level}")


def empty_panel(what: str, next_step: str, *, icon: str = "inbox") -> ui.element:
    """Nothing is there yet: say why, and what would change that. Returns the panel, to put a button in."""
    with ui.element("div").classes("nothing").props("role=status") as panel:
        ui.icon(icon).classes("nothing-icon")
        ui.label(what).classes("what")
        ui.label(next_step).classes("then")
    return panel


def error_panel(error: EucentricError) -> ui.element:
    """Something went wrong. Returns the panel, to put a button in."""
    with ui.element("div").style("width:100%") as panel:
        fill_error(error)
    return panel


def offline_panel(service: str, error: EucentricError | None, *, back: str) -> ui.element:
    """A service does not answer.

    Args:
        service: what, such as `The edge`.
        error: how that showed, if it is known.
        back: what brings it back; the page looks again by itself.
    """
    with ui.element("div").classes("notice warning").props("role=status") as panel:
        ui.label(f"{service} does not answer.").classes("what")
        safe = "nothing was changed." if error is None else error.safe
        ui.label(f"Safe: {safe}  Next: {back}").classes("then")
        if error is not None:
            ui.label(error.what).classes("then")
    return panel


def fill_error(error: EucentricError) -> None:
    """The error's own words in the present place."""
    with ui.element("div").classes("notice alarm").props("role=alert"):
        ui.label(error.what).classes("what")
        ui.label(f"Safe: {error.safe}  Next: {error.next_step}").classes("then")
