"""The image with its grid, labels and map, as an element of the page; drawn by the browser (`canvas.js`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from ._classes import LabelClass
from ._grid import Grid, Place
from ._map_layer import MapLayer

__all__ = ["ChipCanvas"]

_LABEL = (
    "Image with a grid of chips. Arrow keys move, space gives the chosen class or takes it away, "
    "delete takes it away, 1 to 9 choose a class, control Z undoes."
)
_PICKING_LABEL = "Image with a map of chips. Arrow keys move, space shows the chip and those it resembles."


class ChipCanvas(ui.element, component="canvas.js"):
    """An image that chips are pointed at in.

    Args:
        on_paint: told of the places of a click or a drag, and of their class's key; None for no class.
        on_pick: told of the place that was pointed at, where no labels are given.
        on_choose: told of the key that was pressed.
        on_undo: told that undo was asked for.
        on_redo: told that redo was asked for.
    """

    def __init__(
        self,
        *,
        on_paint: Callable[[tuple[Place, ...], int | None], None] | None = None,
        on_pick: Callable[[Place], None] | None = None,
        on_choose: Callable[[int], None] | None = None,
        on_undo: Callable[[], None] | None = None,
        on_redo: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._props.update(
            src="",
            width=1,
            height=1,
            grid={"side": 1, "top": 0, "left": 0, "rows": 0, "columns": 0},
            classes=[],
            chips=[],
            current=1,
            map=None,
            opacity=0.5,
            lines=True,
            paints=on_paint is not None,
            picked=None,
            pixel_nm=None,
            label=_LABEL if on_paint is not None else _PICKING_LABEL,
        )
        if on_paint is not None:
            self.on("paint", lambda event: on_paint(*_painted(event)))
        if on_pick is not None:
            self.on("pick", lambda event: on_pick(_place(event.args["place"])))
        if on_choose is not None:
            self.on("choose", lambda event: on_choose(int(event.args["key"])))
        if on_undo is not None:
            self.on("undo", lambda _: on_undo())
        if on_redo is not None:
            self.on("redo", lambda _: on_redo())

    def show_image(self, jpeg: bytes, shape_px: tuple[int, int], pixel_size_m: float | None) -> None:
        """Show an image, which may be encoded smaller than it is."""
        self._show(
            src=f"data:image/jpeg;base64,{b64encode(jpeg).decode()}",
            height=shape_px[0],
            width=shape_px[1],
            pixel_nm=None if pixel_size_m is None else pixel_size_m * 1e9,
        )

    def show_labels(
        self, grid: Grid, classes: Sequence[LabelClass], chips: Mapping[Place, int], current: int
    ) -> None:
        """Show the grid, and who has which class."""
        top, left = grid.offset_px
        self._show(
            grid={
                "side": grid.side_px,
                "top": top,
                "left": left,
                "rows": grid.rows,
                "columns": grid.columns,
            },
            classes=[{"key": one.key, "name": one.name, "colour": one.colour} for one in classes],
            chips=[[row, column, key] for (row, column), key in chips.items()],
            current=current,
        )

    def show_map(self, layer: MapLayer | None) -> None:
        """Show a map over the image, or none."""
        self._show(map=None if layer is None else layer.props())

    def show_picked(self, place: Place | None) -> None:
        """Mark a chip."""
        self._show(picked=None if place is None else list(place))

    def set_opacity(self, opacity: float) -> None:
        """Of the map, 0 to 1."""
        self._show(opacity=opacity)

    def set_paints(self, paints: bool) -> None:
        """Whether labels are given."""
        self._show(paints=paints)

    def set_lines(self, shown: bool) -> None:
        """Whether the grid is drawn."""
        self._show(lines=shown)

    def _show(self, **props: Any) -> None:
        if any(self._props.get(name) != value for name, value in props.items()):
            self._props.update(props)
            self.update()


def _painted(event: GenericEventArguments) -> tuple[tuple[Place, ...], int | None]:
    key = event.args["key"]
    return tuple(_place(place) for place in event.args["places"]), None if key is None else int(key)


def _place(given: Sequence[int]) -> Place:
    row, column = given
    return int(row), int(column)
