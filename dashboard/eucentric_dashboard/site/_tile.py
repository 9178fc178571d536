"""One fact in the strip: its name above its value."""

from __future__ import annotations

from typing import Literal

from nicegui import ui

__all__ = ["Tile", "Tone"]

Tone = Literal["", "good", "warn", "alarm", "unknown"]
_TONES = "good warn alarm unknown"


class Tile:
    """A name and a value.

    Args:
        name: above the value.
        tip: what it means.
    """

    def __init__(self, name: str, *, tip: str = "") -> None:
        with ui.element("div").classes("tile") as self._element:
            ui.label(name).classes("name")
            self._value = ui.label("—").classes("value unknown").mark(name)
            if tip:
                self._value.tooltip(tip)

    def show(self, text: str | None, tone: Tone = "") -> None:
        """Show a value; None: it is not known."""
        self._value.set_text(text if text is not None else "—")
        self._value.classes(remove=_TONES, add="unknown" if text is None else tone)

    def set_visibility(self, visible: bool) -> None:
        """Show it, or not."""
        self._element.set_visibility(visible)
