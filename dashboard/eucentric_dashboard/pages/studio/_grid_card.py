"""Step 2: how large a chip is, and where the grid begins."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from ...chips import SMALLEST_CHIP_PX, Grid
from ...site import heading
from ._desk import Desk
from ._labels import Regrid

__all__ = ["GridCard"]


class GridCard:
    """A slider and numbers, in pixels and nanometres; the grid over the image follows them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._showing = False
        with ui.element("section").classes("card"):
            heading("2 · Chip size")
            self._slider = (
                ui.slider(
                    min=SMALLEST_CHIP_PX, max=128, step=1, value=32, on_change=lambda e: self._side(e.value)
                )
                .props("dense aria-label='Chip size in pixels' throttle=50")
                .classes("studio-slider")
            )
            with ui.element("div").classes("line studio-row"):
                self._px = _number("Chip (px)", self._side)
                self._nm = _number("Chip (nm)", self._side_nm, step=0.1, form="%.4g")
                self._top = _number("Offset y (px)", lambda value: self._offset(value, None))
                self._left = _number("Offset x (px)", lambda value: self._offset(None, value))
            self._about = ui.label().classes("muted")

    def refresh(self) -> None:
        """Show the grid."""
        labelling = self._desk.labelling
        for element in (self._slider, self._px, self._nm, self._top, self._left):
            element.set_enabled(labelling is not None)
        if labelling is None:
            return
        grid = labelling.grid
        self._showing = True
        self._slider.props(f"max={grid.largest_side_px}")
        shown = ((self._slider, grid.side_px), (self._px, grid.side_px), (self._top, grid.offset_px[0]))
        for element, value in (*shown, (self._left, grid.offset_px[1])):
            if element.value != value:
                element.set_value(value)
        nm = None if grid.side_nm is None else float(f"{grid.side_nm:.4g}")
        self._nm.set_enabled(nm is not None)
        if self._nm.value != nm:
            self._nm.set_value(nm)
        self._showing = False
        size = "pixel size unknown" if nm is None else f"{nm:g} nm"
        self._about.set_text(
            f"{grid.rows} × {grid.columns} = {grid.rows * grid.columns} chips of {grid.side_px} px ({size}). "
            "Two or more periods of the structure fit best."
        )

    def _side(self, value: float | None) -> None:
        if value:
            self._change(lambda grid: grid.with_side_px(round(value)))

    def _side_nm(self, value: float | None) -> None:
        if value:
            self._change(lambda grid: grid.with_side_nm(value))

    def _offset(self, top: float | None, left: float | None) -> None:
        self._change(
            lambda grid: grid.with_offset_px(
                grid.offset_px[0] if top is None else round(top),
                grid.offset_px[1] if left is None else round(left),
            )
        )

    def _change(self, change: Callable[[Grid], Grid]) -> None:
        labelling = self._desk.labelling
        # What is shown here is no wish of somebody.
        if labelling is not None and not self._showing:
            self._desk.do(Regrid(change(labelling.grid)))


def _number(
    label: str, changed: Callable[[float | None], None], *, step: float = 1, form: str = "%d"
) -> ui.number:
    return (
        ui.number(label, min=0, step=step, format=form, on_change=lambda event: changed(event.value))
        .props("dense outlined debounce=300")
        .classes("studio-number")
    )
