"""Step 4: what the map says: check of the support set, statistics, files."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from eucentric_core import EucentricError

from ...chips import MappedFrame, colours_of
from ...site import errors_shown, heading
from ...site._panels import fill_error
from ._desk import Desk, Work
from ._export import counts_csv, map_csv, map_png, map_svg

__all__ = ["MapCard"]

_FILES: dict[str, tuple[str, str, Callable[[Work, MappedFrame], bytes]]] = {
    "png": ("map.png", "picture", lambda work, mapped: map_png(mapped, work.image, work.labelling.classes)),
    "svg": ("map.svg", "drawing", lambda work, mapped: map_svg(mapped, work.image, work.labelling.classes)),
    "csv": ("map.csv", "table of all chips", lambda work, mapped: map_csv(mapped, work.image)),
    "counts": ("counts.csv", "table of the classes", lambda _, mapped: counts_csv(mapped)),
}


class MapCard:
    """The outcome, class by class."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shown: object = None
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("4 · Map")
                self._state = ui.label().classes("muted").props("role=status")
            self._problem = ui.element("div")
            self._table = ui.element("div").classes("studio-table")
            with ui.element("div").classes("line studio-row") as self._files:
                for name, (_, what, _) in _FILES.items():
                    ui.button(name, icon="download", on_click=lambda name=name: self._download(name)).props(
                        "no-caps dense outline size=sm"
                    ).tooltip(f"Download: {what}")
        self._files.set_visibility(False)

    def show_state(self, text: str) -> None:
        """What is being done."""
        if self._state.text != text:
            self._state.set_text(text)

    def show_problem(self, error: EucentricError | None) -> None:
        """What kept a map from being computed."""
        self._problem.clear()
        if error is not None:
            with self._problem:
                fill_error(error)

    def refresh(self) -> None:
        """Show the newest map."""
        if self._desk.mapped is self._shown:
            return
        self._shown = self._desk.mapped
        self._table.clear()
        self._files.set_visibility(self._desk.mapped is not None)
        if self._desk.mapped is None:
            return
        work, mapped = self._desk.mapped
        with self._table:
            _fill(work, mapped)

    def _download(self, kind: str) -> None:
        if self._desk.mapped is None:
            return
        work, mapped = self._desk.mapped
        file, _, make = _FILES[kind]
        stem = "" if self._desk.record is None else f"{self._desk.record.name}-"
        with errors_shown():
            ui.download.content(make(work, mapped), f"{stem}{mapped.digest}-{file}")


def _fill(work: Work, mapped: MappedFrame) -> None:
    colours = colours_of(mapped.classes, work.labelling.classes)
    checks = {check.name: check for check in mapped.checks}
    with ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for title in ("Class", "Area", "", "Chips", "Sure", "Check"):
                cell = ui.element("th").props("scope=col") if title else ui.element("td")
                with cell:
                    ui.label(title)
        with ui.element("tbody"):
            for share, colour in zip(mapped.shares, colours, strict=True):
                check = checks.get(share.name)
                with ui.element("tr"):
                    with ui.element("th").props("scope=row"), ui.element("span").classes("studio-class-name"):
                        ui.element("span").classes("studio-swatch").style(f"background:{colour}")
                        ui.label(share.name)
                    _cell(
                        f"{share.area_fraction:.1%}",
                        f"{share.area_fraction_low:.1%} to {share.area_fraction_high:.1%} "
                        "with other support chips of these",
                    )
                    _cell("" if share.area_nm2 is None else f"{share.area_nm2:.3g} nm²")
                    _cell(str(share.chips))
                    _cell("" if share.mean_confidence is None else f"{share.mean_confidence:.0%}")
                    _cell(
                        "" if check is None else f"{check.recognised} of {check.chips}",
                        "" if check is None else "recognised when left out once",
                    )
    for check in mapped.checks:
        for doubt in check.doubts:
            ui.label(doubt).classes("studio-doubt")


def _cell(text: str, tip: str = "") -> None:
    with ui.element("td"):
        label = ui.label(text)
        if tip:
            label.tooltip(tip)
