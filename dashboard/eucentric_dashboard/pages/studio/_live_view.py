"""The live image with the edge's map, in the place of the image that is labelled."""

from __future__ import annotations

import time

from nicegui import ui

from ..._encode import Contrast
from ...chips import ChipCanvas, answer_layer
from ...site import Visit
from ._desk import Desk

__all__ = ["LiveView"]

_PERIOD_S = 0.2


class LiveView:
    """Follows the newest frame while it is on.

    Args:
        visit: whose hub.
        desk: for the colours of its classes.
        canvas: that it draws on.
    """

    def __init__(self, visit: Visit, desk: Desk, canvas: ChipCanvas) -> None:
        self._visit = visit
        self._desk = desk
        self._canvas = canvas
        self._shown: object = None
        self.contrast: Contrast = "normal"
        self.on = False
        self._about = ui.label().classes("muted").props("role=status")
        ui.timer(_PERIOD_S, self.refresh)
        self._about.set_visibility(False)

    def turn(self, on: bool) -> None:
        """Follow the live image, or leave it."""
        self.on, self._shown = on, None
        self._about.set_visibility(on)
        self._about.set_text("Waiting for the edge's map of a live frame.")
        self.refresh()

    def refresh(self) -> None:
        """Show the newest frame that the edge has mapped."""
        if not self.on:
            return
        picture = self._visit.hub.answered_picture() or self._visit.hub.picture()
        if picture is None:
            self._about.set_text("No frame has come from the instrument.")
            return
        labelling = self._desk.labelling
        found = answer_layer(picture, () if labelling is None else labelling.classes)
        shown = (picture.version, None if found is None else found.layer.version, self.contrast)
        if shown == self._shown:
            return
        if found is None:
            self._about.set_text("No map of chips has come from the edge for this frame yet.")
            return
        self._shown = shown
        height, width = picture.frame.array.shape
        self._canvas.show_image(picture.jpeg(self.contrast), (height, width), picture.pixel_size_m)
        self._canvas.show_labels(found.grid, (), {}, 0)
        self._canvas.show_map(found.layer)
        header = picture.frame.header
        age_s = time.monotonic() - picture.arrived_s
        late = "" if age_s < 3 else f" · NOT LIVE, {age_s:.0f} s old"
        self._about.set_text(
            f"Live: {header.session} · frame {header.sequence} · {', '.join(found.layer.names)}{late}"
        )
