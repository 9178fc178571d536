"""How the widgets look."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

__all__ = ["add_style"]

_SHARED = Path(__file__).with_name("style.css")


def add_style(own: Path | None = None) -> None:
    """Give the page the style of the widgets, and its own style sheet if it has one."""
    ui.add_css(_SHARED)
    if own is not None:
        ui.add_css(own)
