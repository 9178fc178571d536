"""The element that shows the live image."""

from __future__ import annotations

from urllib.parse import quote

from nicegui.element import Element

from ..._palette import CLASS_COLOURS
from ._assets import WORKER

__all__ = ["LiveView"]


class LiveView(Element, component="live_view.js"):
    """Image, overlays, legend, and what can be chosen about them; all of it in the browser.

    Args:
        instrument: whose frames.
    """

    def __init__(self, instrument: str) -> None:
        super().__init__()
        self._props["address"] = f"/live/{quote(instrument)}/frames"
        self._props["worker"] = WORKER
        self._props["colours"] = list(CLASS_COLOURS)
