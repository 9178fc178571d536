"""The heading of a card."""

from __future__ import annotations

from nicegui import ui

__all__ = ["heading"]


def heading(text: str) -> None:
    """A heading that assistive technology knows as one."""
    ui.html(text, sanitize=False, tag="h2")
