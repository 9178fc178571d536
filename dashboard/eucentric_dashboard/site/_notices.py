"""What is amiss with the instrument, below the strip of every page."""

from __future__ import annotations

import time

from nicegui import ui

from eucentric_core import utc_now

from .._hub import LiveHub
from .._words import Notice, notices

__all__ = ["NoticeList"]


class NoticeList:
    """`refresh` twice a second."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._shown: tuple[Notice, ...] = ()
        self._place = ui.element("div").classes("notices").props("role=status")
        self._place.mark("notices")

    def refresh(self) -> None:
        """Show what is amiss at this moment."""
        hub = self._hub
        found = notices(
            hub.settings,
            hub.agent,
            hub.edge,
            hub.figures(),
            hub.events,
            now_s=time.monotonic(),
            now_utc=utc_now(),
        )
        if found == self._shown:
            return
        self._shown = found
        self._place.clear()
        with self._place:
            for notice in found:
                with ui.element("div").classes(f"notice {notice.level}"):
                    ui.label(notice.what).classes("what")
                    ui.label(f"Safe: {notice.safe}  Next: {notice.next_step}").classes("then")
