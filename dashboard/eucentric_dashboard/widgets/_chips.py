"""A word or two that say how something stands."""

from __future__ import annotations

from typing import Literal

from nicegui import ui

__all__ = ["Tone", "chip"]

Tone = Literal["", "done", "active", "failed", "waiting"]


def chip(text: str, tone: Tone = "", *, tip: str = "") -> ui.label:
    """A small label; its colour only repeats what its text says."""
    label = ui.label(text).classes(f"step {tone}")
    if tip:
        label.tooltip(tip)
    return label
