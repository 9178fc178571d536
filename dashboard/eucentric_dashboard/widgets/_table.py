"""A dense table whose cells are built by whoever fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nicegui import ui

__all__ = ["Cell", "data_table"]

Cell = str | Callable[[], object]
"""Text, or what builds the content of the cell."""


def data_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, numbers: Sequence[str] = ()
) -> ui.element:
    """A table that assistive technology reads as one.

    Args:
        caption: what it lists; not shown, but read out.
        columns: headings; an empty one is of a column of buttons.
        rows: of as many cells as there are columns.
        numbers: headings of the columns that hold numbers, which stand right.
    """
    with ui.element("div").classes("wide") as place, ui.element("table").classes("data"):
        with ui.element("caption").classes("unseen"):
            ui.label(caption)
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                _cell("th", column or _unseen, column in numbers).props("scope=col")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for column, cell in zip(columns, row, strict=True):
                        _cell("td", cell, column in numbers)
    return place


def _cell(tag: str, content: Cell, number: bool) -> ui.element:
    with ui.element(tag).classes("number" if number else "") as cell:
        if callable(content):
            content()
        else:
            ui.label(content)
    return cell


def _unseen() -> None:
    ui.label("Actions").classes("unseen")
